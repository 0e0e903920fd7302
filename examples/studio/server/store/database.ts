import { mkdir } from 'node:fs/promises'
import { PGlite } from '@electric-sql/pglite'
import { Kysely, Migrator, PostgresDialect, sql } from 'kysely'
import { PGliteDialect } from 'kysely-pglite-dialect'
import pg from 'pg'
import { type Listening, listenEmbedded, listenServer } from './announcements.ts'
import { lockFolder } from './folder-lock.ts'
import { MIGRATIONS } from './migrations.ts'
import type { Tables } from './tables.ts'

/** The studio's database: a PostgreSQL server, or the one that runs inside this process. */
export interface Database {
  readonly db: Kysely<Tables>
  /** Tells of what any process of the studio announces on a channel; a connection that breaks is mended. */
  readonly listen: Listening
  close(): Promise<void>
}

/** Where the data is. */
export type DatabaseOptions =
  /** `postgres://…`; any number of studios may share it. */
  | { readonly url: string }
  /** A folder that this process alone uses. */
  | { readonly folder: string }
  /** Opens one inside this process, which is closed with the database: for tests. */
  | { readonly engine: () => Promise<Engine> }

/** What the studio needs of a database inside the process. */
export type Engine = Pick<PGlite, 'query' | 'listen' | 'close'>

/**
 * Opens the database, and brings its tables to this version of the studio.
 *
 * @throws Error that says what cannot be reached, or which migration failed
 */
export async function openDatabase(options: DatabaseOptions): Promise<Database> {
  const opened = await open(options)
  try {
    await migrate(opened.db)
    return opened
  } catch (error) {
    await opened.close()
    throw error
  }
}

async function open(options: DatabaseOptions): Promise<Database> {
  if ('url' in options) return openServer(options.url)
  return 'folder' in options ? openFolder(options.folder) : useEngine(await options.engine())
}

/** int8 as a number, as the embedded database has it: no table gets near 2^53 rows. */
const TYPES: pg.CustomTypesConfig = {
  getTypeParser: (oid: number, format?: 'text' | 'binary') =>
    oid === pg.types.builtins.INT8 ? Number : pg.types.getTypeParser(oid, format as 'text'),
}

function openServer(url: string): Database {
  const pool = new pg.Pool({ connectionString: url, max: 10, connectionTimeoutMillis: 5000, types: TYPES })
  // A connection that breaks while nobody uses it is replaced by the next query.
  pool.on('error', () => undefined)
  const db = new Kysely<Tables>({ dialect: new PostgresDialect({ pool }) })
  const { listen, close } = listenServer(url)
  return Object.freeze({
    db,
    listen,
    async close() {
      await close()
      await db.destroy()
    },
  })
}

async function openFolder(folder: string): Promise<Database> {
  const unlock = await takeFolder(folder)
  try {
    const { close, ...rest } = useEngine(await PGlite.create(folder))
    return Object.freeze({
      ...rest,
      async close() {
        await close()
        await unlock()
      },
    })
  } catch (error) {
    await unlock()
    throw error
  }
}

function useEngine(engine: Engine): Database {
  const db = new Kysely<Tables>({ dialect: new PGliteDialect(engine as PGlite) })
  return Object.freeze({ db, listen: listenEmbedded(engine), close: () => db.destroy() })
}

async function takeFolder(folder: string): Promise<() => Promise<void>> {
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 })
    return await lockFolder(folder, stopAtOnce)
  } catch (error) {
    throw new Error(`the folder of the database cannot be used: ${(error as Error).message}`, { cause: error })
  }
}

/** Whatever is written from here on would be written by two. */
function stopAtOnce(error: Error): never {
  console.error(`the folder of the database was taken by another process: ${error.message}`)
  process.exit(1)
}

async function migrate(db: Kysely<Tables>): Promise<void> {
  const migrator = new Migrator({
    db,
    provider: { getMigrations: async () => ({ ...MIGRATIONS }) },
    // Parts of the studio have tables and numbers of their own.
    allowUnorderedMigrations: true,
  })
  const { error, results = [] } = await migrator.migrateToLatest()
  if (error === undefined) return
  const failed = results.find(({ status }) => status === 'Error')
  const what = failed === undefined ? 'the database cannot be used' : `migration ${failed.migrationName} failed`
  throw new Error(`${what}: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
}

/** Of all transactions that take it, one goes on at a time, in whichever process. */
export async function lockPublishing(db: Kysely<Tables>): Promise<void> {
  await sql`select pg_advisory_xact_lock(${PUBLISHING_LOCK})`.execute(db)
}
/** Any number that nobody else uses in this database. */
const PUBLISHING_LOCK = 4_203_671
