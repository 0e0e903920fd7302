import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PGlite } from '@electric-sql/pglite'
import type { TestProject } from 'vitest/node'
import { openDatabase } from '../server/store/database.ts'
import { findServer, startServer } from './postgres-server.ts'

declare module 'vitest' {
  export interface ProvidedContext {
    /** File with an empty database, to be copied: making one takes seconds. */
    readonly empty_archive: string
    /** The folder of a PostgreSQL server's socket, where it is installed. Its database `empty` is one. */
    readonly postgres: string | undefined
  }
}

/** What the tests of the server begin with. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const root = mkdtempSync(join(tmpdir(), 'studio-empty-'))
  const programs = findServer()
  const server = programs === undefined ? undefined : await startServer(programs)
  const folder = join(root, 'data')
  await (await openDatabase({ folder })).close()
  const file = join(root, 'data.tar')
  const engine = await PGlite.create(folder)
  writeFileSync(file, Buffer.from(await (await engine.dumpDataDir('none')).arrayBuffer()))
  await engine.close()
  project.provide('empty_archive', file)
  project.provide('postgres', server?.folder)
  return async () => {
    await server?.stop()
    rmSync(root, { recursive: true, force: true })
  }
}
