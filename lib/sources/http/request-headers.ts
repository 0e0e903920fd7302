import * as z from 'zod'
import { DynacodeError } from '../../errors.ts'
import { describeKind, describeMismatch } from '../../validation/schema-error.ts'
import { callback } from '../../validation/shapes.ts'

/** Request headers: an object, `Headers`, a Map, or an array of pairs. */
export type ApiHeaders = Record<string, string> | Iterable<readonly [name: string, value: string]>
/**
 * Returns the request headers for the plugin API. `renew` is true if the API has just answered 401 to the last headers.
 */
export type HeadersFunction = (request: { readonly renew: boolean }) => ApiHeaders | Promise<ApiHeaders>

const HEADER_NAME = /^[\w!#$%&'*+.^`|~-]+$/
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are the ones that a header may not have
const HEADER_VALUE = /^[^\0-\x08\x0a-\x1f\x7f\u0100-\uffff]*$/

/** Headers that can be sent, as an object. */
const apiHeadersSchema = z.preprocess(fromPairs, z.record(z.string(), z.string())).superRefine((headers, context) => {
  for (const [name, value] of Object.entries(headers)) {
    if (!HEADER_NAME.test(name)) context.addIssue({ code: 'custom', path: [name], message: 'the name of a header' })
    else if (!HEADER_VALUE.test(value)) {
      context.addIssue({
        code: 'custom',
        path: [name],
        message: 'a header without line breaks and characters above U+00FF',
      })
    }
  }
})

/**
 * An option that gives the headers of requests: themselves, or what makes them.
 *
 * @internal
 */
export const headersOption = z
  .union([
    // Nobody means an empty list.
    z.custom((given) => !isEmptyList(given), 'an object').pipe(apiHeadersSchema),
    callback as z.ZodType<HeadersFunction>,
  ])
  .default({})

/**
 * Asks for the headers of one request, by names in lower case.
 *
 * @param option the option that they are from, for messages
 * @param renew whether what was given last will not do
 * @throws DynacodeError when the app's function fails, or what it gives are no headers
 */
export async function askHeaders(
  option: string,
  given: ApiHeaders | HeadersFunction,
  renew: boolean,
): Promise<Record<string, string>> {
  // Those were checked when the instance was made.
  if (typeof given !== 'function') return lowerCaseKeys(fromPairs(given) as Record<string, string>)
  let came: unknown
  try {
    came = await given({ renew })
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause)
    throw new DynacodeError('ERR_DYNACODE_FETCH', `${option}() failed: ${message}`, { cause })
  }
  const headers = apiHeadersSchema.safeParse(came)
  if (headers.success) return lowerCaseKeys(headers.data)
  const { path, message } = describeMismatch(headers.error, came, describeKind)
  throw new DynacodeError('ERR_DYNACODE_FETCH', `${option}(): ${path === '' ? '' : `${path}: `}${message}`)
}

function isEmptyList(given: unknown): boolean {
  return (Array.isArray(given) && given.length === 0) || (given instanceof Map && given.size === 0)
}

/** Of several values for one name a request has all (RFC 9110, 5.3). */
function fromPairs(given: unknown): unknown {
  if (typeof given !== 'object' || given === null || !(Symbol.iterator in given)) return given
  const headers = new Map<string, unknown>()
  for (const pair of given as Iterable<unknown>) {
    if (!Array.isArray(pair) || pair.length !== 2 || typeof pair[0] !== 'string') return given
    const [name, value] = pair as [string, unknown]
    const key = name.toLowerCase()
    headers.set(key, headers.has(key) ? `${headers.get(key)}, ${value}` : value)
  }
  return Object.fromEntries(headers)
}

function lowerCaseKeys(headers: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))
}
