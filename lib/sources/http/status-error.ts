import { DynacodeError } from '../../errors.ts'

/** The API did not answer with a document, but with a status. */
export class StatusError extends DynacodeError {
  /** The HTTP status that came. */
  readonly status: number

  /** How long the API asks to be left alone, in milliseconds; undefined when it does not. */
  readonly retry_after_ms: number | undefined

  constructor(status: number, uri: string, retry_after_ms?: number) {
    // 304 only comes here when nothing was asked that it could answer.
    super('ERR_DYNACODE_FETCH_STATUS', `${uri} answered ${status}, expected 200${status === 304 ? '' : ' or 304'}`)
    this.status = status
    this.retry_after_ms = retry_after_ms
  }
}

/** How long the API asks to be left alone by this failure, in milliseconds; undefined when it does not. */
export function retryAfterOf(error: unknown): number | undefined {
  return error instanceof StatusError ? error.retry_after_ms : undefined
}
