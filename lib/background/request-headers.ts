import { DynacodeError } from '../errors.ts'
import { type ApiHeaders, apiHeadersSchema, type HeadersFunction } from '../options.ts'
import { describeKind, describeMismatch } from '../schema-error.ts'

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
  if (typeof given !== 'function') return lowerCaseKeys(given)
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

function lowerCaseKeys(headers: ApiHeaders): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))
}
