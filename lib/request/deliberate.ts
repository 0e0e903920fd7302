import { validateHeaderName, validateHeaderValue } from 'node:http'
import { type HttpError, isHttpError } from 'http-errors'

/** Whether a plugin threw an http-error, as ctx.throw() does: that is a way to answer, and no failure. */
export function isDeliberate(error: unknown): error is HttpError {
  try {
    return isHttpError(error)
  } catch {
    // A proxy, or a getter that throws: nothing that ctx.throw() makes.
    return false
  }
}

/**
 * Whether Koa's error handler can answer with the error. It writes the status into it and sets its headers, and whatever
 * throws there nobody catches: it would end the process.
 */
export function isAnswerable(error: HttpError): boolean {
  try {
    if (typeof error.message !== 'string' || !Reflect.set(error, 'status', error.status)) return false
    for (const [name, value] of Object.entries(error.headers ?? {})) {
      validateHeaderName(name)
      for (const each of [value].flat()) validateHeaderValue(name, String(each))
    }
    return true
  } catch {
    return false
  }
}
