import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { build } from 'vite'
import type { TestProject } from 'vitest/node'
import { openDatabase } from '../../server/store/database.ts'

declare module 'vitest' {
  export interface ProvidedContext {
    /** Folder with an empty database, to be copied: making one takes seconds. */
    readonly empty_database: string
  }
}

/** What all the tests of the pages begin with: the pages, built, and an empty database. */
export async function setup(project: TestProject): Promise<() => void> {
  // As they are served, and not as they are in development.
  const { NODE_ENV } = process.env
  process.env.NODE_ENV = 'production'
  await build({ configFile: join(import.meta.dirname, '../../web/vite.config.ts'), logLevel: 'error' })
  process.env.NODE_ENV = NODE_ENV ?? 'test'
  const folder = mkdtempSync(join(tmpdir(), 'studio-empty-'))
  const database = await openDatabase({ folder })
  await database.close()
  project.provide('empty_database', folder)
  return () => rmSync(folder, { recursive: true, force: true })
}
