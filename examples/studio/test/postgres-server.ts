import { execFileSync, spawn } from 'node:child_process'
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { openDatabase } from '../server/store/database.ts'

const VERSIONS = '/usr/lib/postgresql'

/** Where the programs of a server are, if it is installed. @throws Error where it is expected to be */
export function findServer(): string | undefined {
  if (existsSync(VERSIONS)) return join(VERSIONS, readdirSync(VERSIONS).sort().at(-1) as string, 'bin')
  if (process.env.DYNACODE_TEST_SERVICES === '1') throw new Error('expected PostgreSQL to be installed')
  return undefined
}

/** Starts a server with an empty database, `empty`, in a folder of its own, on a socket there. */
export async function startServer(programs: string): Promise<{ folder: string; stop(): Promise<void> }> {
  const folder = mkdtempSync(join(tmpdir(), 'studio-postgres-'))
  // A server does not run as root.
  const owner = process.getuid?.() === 0 ? ownerOf('postgres') : undefined
  if (owner !== undefined) chownSync(folder, owner.uid, owner.gid)
  const data = join(folder, 'data')
  const where = { ...owner, cwd: folder, stdio: 'ignore' } as const
  execFileSync(join(programs, 'initdb'), ['-D', data, '-U', 'studio', '-A', 'trust', '--no-sync'], where)
  const settings = ['-c', 'fsync=off', '-c', 'listen_addresses=', '-c', `unix_socket_directories=${folder}`]
  const server = spawn(join(programs, 'postgres'), ['-D', data, ...settings], where)
  const ended = new Promise((resolve) => server.once('close', resolve))
  for (let tries = 0; ; tries += 1) {
    try {
      await runQuery(folder, 'create database empty')
      break
    } catch (error) {
      if (tries === 200) throw error
      await sleep(50)
    }
  }
  await (await openDatabase({ url: urlOf(folder, 'empty') })).close()
  return {
    folder,
    async stop() {
      server.kill('SIGINT')
      await ended
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** The address of a database of a server. @param folder that of the server */
export function urlOf(folder: string, database: string): string {
  return `postgres://studio@/${database}?host=${encodeURIComponent(folder)}`
}

/** Asks a server for something. */
export async function runQuery(folder: string, text: string): Promise<void> {
  const client = new pg.Client({ connectionString: urlOf(folder, 'postgres') })
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
