import { randomUUID } from 'node:crypto'
import { inject } from 'vitest'
import { type Database, type DatabaseOptions, openDatabase } from '../server/store/database.ts'
import { runQuery, urlOf } from './postgres-server.ts'
import { openWarmEngine } from './warm-engines.ts'

/** A kind of database that tests run on. */
interface Kind {
  readonly name: string
  /** An empty one, and how to open it once more. */
  options(): Promise<DatabaseOptions>
  open(): Promise<Database>
  /** The address of one without tables; undefined where it has none. */
  blank(): Promise<string | undefined>
}

/** The database inside the process, empty. */
export const IN_MEMORY: DatabaseOptions = { engine: openWarmEngine }

const embedded: Kind = {
  name: 'the embedded database',
  options: async () => IN_MEMORY,
  open: () => openDatabase(IN_MEMORY),
  blank: async () => undefined,
}

/** What the tests of a file run on: the embedded database and, where it is installed, a server. */
export const databases: readonly Kind[] = [embedded, ...onServer(inject('postgres'))]

function onServer(folder: string | undefined): readonly Kind[] {
  if (folder === undefined) return []
  const create = async (of: string) => {
    const name = `studio_${randomUUID().replaceAll('-', '')}`
    await runQuery(folder, `create database ${name} template ${of}`)
    return urlOf(folder, name)
  }
  const options = async () => ({ url: await create('empty') })
  return [
    {
      name: 'a PostgreSQL server',
      options,
      open: async () => openDatabase(await options()),
      blank: () => create('template0'),
    },
  ]
}
