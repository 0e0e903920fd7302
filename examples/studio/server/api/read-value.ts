import type { z } from 'zod'
import { Problem } from '../problem.ts'
import { demandPlain } from './plain-value.ts'

/**
 * Reads a part of a request as its schema makes it.
 *
 * @param what it is called
 * @param most values in it
 * @throws Problem with 422, which names the fields
 */
export function readValue<T extends z.ZodType>(schema: T, value: unknown, what: string, most?: number): z.output<T> {
  demandPlain(value, what, most)
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  const fields: Record<string, string> = {}
  for (const { path, message } of parsed.error.issues) fields[path.join('.')] ??= message
  const [first] = Object.entries(fields)
  throw new Problem(422, `${what}: ${first?.[0] ? `${first[0]}: ` : ''}${first?.[1]}`, { fields })
}

/** @throws Problem with 400 for what is none */
export function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString())
  } catch (error) {
    throw new Problem(400, `the request is not valid JSON: ${(error as Error).message}`)
  }
}
