import type { Dispatcher } from 'undici'
import { DynacodeError } from '../../errors.ts'
import { createDeadline } from '../../sources/http/deadline.ts'
import { createExchange, leave, letPass, readRetryAfter, withoutSecrets } from '../../sources/http/exchange.ts'
import type { ApiHeaders, HeadersFunction } from '../../sources/http/request-headers.ts'
import { abortable } from '../../time/abortable.ts'
import { VERSION } from '../../version.ts'

/** What the sender needs of the options. */
export interface SenderOptions {
  readonly report_uri: string
  readonly report_headers: ApiHeaders | HeadersFunction
  readonly report_dispatcher: Dispatcher | undefined
}

/** That a report was not taken, and how long the receiver asks to be left alone, in milliseconds. */
export interface SendFailure {
  readonly error: DynacodeError
  readonly retry_after_ms: number | undefined
}

/** Sends reports. */
export interface ReportSender {
  /**
   * Posts one report. Never rejects.
   *
   * @param timeout_ms deadline of all of it
   * @param signal gives it up
   * @returns undefined once the receiver has taken it
   */
  send(body: string, timeout_ms: number, signal: AbortSignal): Promise<SendFailure | undefined>
  close(): Promise<void>
}

/** Makes the sender of one instance. Redirects are errors: what the headers prove is for the configured place alone. */
export function createReportSender({ report_uri, report_headers, report_dispatcher }: SenderOptions): ReportSender {
  const exchange = createExchange({
    uri: report_uri,
    option: 'report_headers',
    headers: report_headers,
    dispatcher: report_dispatcher,
    redirects: 0,
  })
  const shown = withoutSecrets(report_uri)
  const defaults = { 'content-type': 'application/json', 'user-agent': `dynacode/${VERSION}` }

  async function post(body: string, signal: AbortSignal, took: () => void): Promise<SendFailure | undefined> {
    const response = await exchange.ask({ method: 'POST', defaults, body }, signal)
    const { statusCode: status } = response
    if (status >= 200 && status < 300) {
      took()
      await letPass(response, signal)
      return undefined
    }
    leave(response)
    return { error: fault(`answered ${status}, expected 200 to 299`), retry_after_ms: readRetryAfter(response) }
  }

  function fault(what: string, cause?: unknown): DynacodeError {
    return new DynacodeError('ERR_DYNACODE_REPORT', `${shown} (report_uri) ${what}`, { cause })
  }

  return Object.freeze({
    async send(body, timeout_ms, closing) {
      const { signal, isLate, clear } = createDeadline(timeout_ms, closing)
      let taken = false
      const took = () => {
        taken = true
      }
      try {
        return await abortable(post(body, signal, took), signal)
      } catch (cause) {
        // Whatever became of the rest of the answer.
        if (taken) return undefined
        const { message, code } = cause as NodeJS.ErrnoException
        const what = isLate() ? `did not answer within ${timeout_ms / 1000} s` : `cannot be reached: ${message || code}`
        return { error: fault(what, cause), retry_after_ms: undefined }
      } finally {
        clear()
      }
    },
    close: exchange.close,
  } satisfies ReportSender)
}
