import { stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { messageOf } from '../errors.ts'
import { Failure } from './failure.ts'
import { describeFileError } from './input.ts'

/**
 * Imports a module, and takes what it exports for the app's own `globals`: its default export where that is an object, as
 * of CommonJS, else its named ones.
 *
 * @throws Failure
 */
export async function importGlobals(path: string): Promise<Record<string, unknown>> {
  const file = resolve(path)
  // What the import says is about the module, or one that it imports.
  await stat(file).catch((cause) => {
    throw new Failure(`${path}: ${describeFileError(cause, 'no such file')}`, 2, cause)
  })
  let exported: Record<string, unknown>
  try {
    exported = await import(pathToFileURL(file).href)
  } catch (cause) {
    throw new Failure(`${path}: ${messageOf(cause)}`, 2, cause)
  }
  const { default: whole, ...named } = exported
  if (typeof whole === 'object' && whole !== null) return { ...whole }
  if (Object.keys(named).length > 0) return named
  throw new Failure(`${path}: expected a module that exports the names that plugins may use, got one without exports`)
}
