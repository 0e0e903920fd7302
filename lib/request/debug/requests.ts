import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Context } from 'koa'
import onHeaders from 'on-headers'
import { hostOf } from '../../matching/request-host.ts'
import type { Clock } from '../../time/clock.ts'
import { createDebugAccess } from './access.ts'
import { formatDebugHeader, formatServerTiming } from './headers.ts'
import type { DebugOptions } from './options.ts'
import { createRunRecord, type RunRecord } from './run-record.ts'

/** Shows those who may see it what plugins did to their requests. */
export interface DebugRequests {
  /** Takes the token off a request, so that nobody behind dynacode sees it; undefined when there is none. */
  takeToken(ctx: Context): string | undefined
  /** Begins a record that its response will show; null where the token is of no use. */
  open(ctx: Context, token: string): Promise<RunRecord | null>
}

/** Caches that are told apart from others (RFC 9213, and what came before it) must not keep such a response either. */
const FOR_CACHES = /^(expires|surrogate-control|.*cdn-cache-control)$/

/**
 * Makes the debugging of requests of one instance.
 *
 * @param failed called with what keeps a response from showing its record
 */
export function createDebugRequests(
  options: DebugOptions,
  clock: Clock,
  failed: (error: unknown) => void,
): DebugRequests {
  const { header = 'dynacode-debug' } = options
  const mayDebug = createDebugAccess(options, clock)

  function show(record: RunRecord, ctx: Context): void {
    const { res } = ctx
    try {
      const timing = formatServerTiming(record)
      const own = [res.getHeader('Server-Timing') ?? []].flat()
      if (timing !== '') res.setHeader('Server-Timing', [...own, timing].join(', '))
      res.setHeader(header, formatDebugHeader(record, ctx, clock.now()))
    } catch (error) {
      failed(error)
    }
  }

  return Object.freeze({
    takeToken({ req }) {
      const token = req.headers[header]
      if (token === undefined) return undefined
      removeHeader(req, header)
      return String(token)
    },
    async open(ctx, token) {
      if (!(await mayDebug(token, hostOf(ctx)))) return null
      const record = createRunRecord()
      // When the headers are sent: whoever answers, be it Koa's error handler, and whatever it has removed.
      onHeaders(ctx.res, () => {
        keepPrivate(ctx.res)
        show(record, ctx)
      })
      return record
    },
  } satisfies DebugRequests)
}

/** What is shown to one is kept for nobody. */
function keepPrivate(res: ServerResponse): void {
  for (const name of res.getHeaderNames()) if (FOR_CACHES.test(name)) res.removeHeader(name)
  res.setHeader('Cache-Control', 'private, no-store')
}

/** Takes a header off a request, so that nobody behind dynacode sees it. */
export function removeHeader(req: IncomingMessage, name: string): void {
  delete req.headers[name]
  // Node makes these when they are first asked for, and then relies on the list being as long as it was. HTTP/2 has none.
  delete (req as { headersDistinct?: NodeJS.Dict<string[]> }).headersDistinct?.[name]
  const { rawHeaders } = req
  for (let index = rawHeaders.length - 2; index >= 0; index -= 2) {
    if (rawHeaders[index]?.toLowerCase() === name) rawHeaders.splice(index, 2)
  }
}
