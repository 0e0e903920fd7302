import * as z from 'zod'
import { OptionError } from '../errors.ts'
import { ENVIRONMENT_NAMES } from '../program.ts'
import { describeValue } from '../validation/schema-error.ts'

const AsyncFunction = (async () => undefined).constructor as FunctionConstructor
const IDENTIFIER = /^[\p{ID_Start}$_][\p{ID_Continue}$\u200c\u200d]*$/u

/** The option `globals`, whose names `checkGlobals` looks at. */
export const globalsOption = z
  .custom<Record<string, unknown>>(
    (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
    'an object',
  )
  .default({})

/**
 * Takes a copy of the names that an app gives to its plugins.
 *
 * @throws OptionError for what cannot be a name of theirs
 */
export function checkGlobals(globals: Record<string, unknown>): Readonly<Record<string, unknown>> {
  for (const name of Object.keys(globals)) {
    const path = `globals.${name}`
    if (ENVIRONMENT_NAMES.has(name)) {
      throw new OptionError(
        path,
        `option ${path}: expected a name that plugins do not have already, got ${describeValue(name)}`,
      )
    }
    if (!IDENTIFIER.test(name) || !isBindable(name)) {
      throw new OptionError(
        path,
        `option ${path}: expected a name that a variable can have, got ${describeValue(name)}`,
      )
    }
  }
  return Object.freeze({ ...globals })
}

/** Whether strict, asynchronous code may have a parameter of this name: reserved words may not. */
function isBindable(name: string): boolean {
  try {
    AsyncFunction(name, '"use strict"')
    return true
  } catch {
    return false
  }
}
