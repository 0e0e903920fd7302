import { execFileSync, spawn } from 'node:child_process'
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { afterAll, beforeAll, inject } from 'vitest'
import { type Database, type DatabaseOptions, openDatabase } from '../server/store/database.ts'

/** A kind of database that tests run on. */
interface Kind {
  readonly name: string
  /** An empty one, and how to open it once more. */
  options(): Promise<DatabaseOptions>
  open(): Promise<Database>
}

const VERSIONS = '/usr/lib/postgresql'
const bin = existsSync(VERSIONS) ? join(VERSIONS, readdirSync(VERSIONS).sort().at(-1) as string, 'bin') : undefined
if (bin === undefined && process.env.DYNACODE_TEST_SERVICES === '1')
  throw new Error('expected PostgreSQL to be installed')

/** The database inside the process, empty. */
export const IN_MEMORY: DatabaseOptions = { folder: 'memory', copy_of: inject('empty_database_file') }

const embedded: Kind = {
  name: 'the embedded database',
  options: async () => IN_MEMORY,
  open: () => openDatabase(IN_MEMORY),
}

/** What the tests of a file run on: the embedded database and, where it is installed, a server. */
export const databases: readonly Kind[] = bin === undefined ? [embedded] : [embedded, startServer(bin)]

/** A server for the tests of one file, in a folder of its own, on a socket there. */
function startServer(programs: string): Kind {
  const folder = mkdtempSync(join(tmpdir(), 'studio-postgres-'))
  // A server does not run as root.
  const owner = process.getuid?.() === 0 ? ownerOf('postgres') : undefined
  let databases = 0
  let stop: () => Promise<void> = async () => undefined

  beforeAll(async () => {
    if (owner !== undefined) chownSync(folder, owner.uid, owner.gid)
    const data = join(folder, 'data')
    execFileSync(join(programs, 'initdb'), ['-D', data, '-U', 'studio', '-A', 'trust', '--no-sync'], {
      ...owner,
      cwd: folder,
      stdio: 'ignore',
    })
    const settings = ['-c', 'fsync=off', '-c', 'listen_addresses=', '-c', `unix_socket_directories=${folder}`]
    const server = spawn(join(programs, 'postgres'), ['-D', data, ...settings], {
      ...owner,
      cwd: folder,
      stdio: 'ignore',
    })
    const ended = new Promise((resolve) => server.once('close', resolve))
    stop = async () => {
      server.kill('SIGINT')
      await ended
    }
    for (let tries = 0; ; tries += 1) {
      try {
        await query(folder, 'postgres', 'select 1')
        return
      } catch (error) {
        if (tries === 200) throw error
        await sleep(50)
      }
    }
  }, 60_000)

  afterAll(async () => {
    await stop()
    rmSync(folder, { recursive: true, force: true })
  })

  const options = async () => {
    databases += 1
    await query(folder, 'postgres', `create database studio_${databases}`)
    return { url: urlOf(folder, `studio_${databases}`) }
  }
  return { name: 'a PostgreSQL server', options, open: async () => openDatabase(await options()) }
}

function urlOf(folder: string, database: string): string {
  return `postgres://studio@/${database}?host=${encodeURIComponent(folder)}`
}

async function query(folder: string, database: string, text: string): Promise<void> {
  const client = new pg.Client({ connectionString: urlOf(folder, database) })
  try {
    await client.connect()
    await client.query(text)
  } finally {
    await client.end()
  }
}

function ownerOf(user: string): { uid: number; gid: number } {
  const id = (flag: string) => Number(execFileSync('id', [flag, user], { encoding: 'utf8' }))
  return { uid: id('-u'), gid: id('-g') }
}
