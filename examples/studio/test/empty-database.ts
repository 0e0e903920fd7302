import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PGlite } from '@electric-sql/pglite'
import type { TestProject } from 'vitest/node'
import { openDatabase } from '../server/store/database.ts'

declare module 'vitest' {
  export interface ProvidedContext {
    /** File with an empty database, to be copied: making one takes seconds. */
    readonly empty_database_file: string
  }
}

/** What the tests of the server begin with. */
export async function setup(project: TestProject): Promise<() => void> {
  const folder = mkdtempSync(join(tmpdir(), 'studio-empty-'))
  const database = await openDatabase({ folder: join(folder, 'data') })
  await database.close()
  const engine = await PGlite.create(join(folder, 'data'))
  const file = join(folder, 'data.tar')
  writeFileSync(file, Buffer.from(await (await engine.dumpDataDir('none')).arrayBuffer()))
  await engine.close()
  project.provide('empty_database_file', file)
  return () => rmSync(folder, { recursive: true, force: true })
}
