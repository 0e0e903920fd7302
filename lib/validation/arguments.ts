import type { z } from 'zod'
import { OptionError } from '../errors.ts'
import { describeKind, describeMismatch } from './schema-error.ts'

/**
 * Checks what a function that makes or feeds a source was called with. Messages show no values: they may be secret.
 *
 * @param name of the function
 * @throws OptionError that names the option, what was expected and what came
 */
export function checkArguments<T>(name: string, schema: z.ZodType<T>, given: unknown): T {
  const result = schema.safeParse(given, { jitless: true })
  if (result.success) return result.data
  const { path, message } = describeMismatch(result.error, given, describeKind)
  throw new OptionError(path, `${name}: ${path === '' ? '' : `option ${path}: `}${message}`)
}
