import type { Context } from 'koa'
import type { Actor } from '../auth/actor.ts'
import type { FleetView } from '../fleet/view.ts'
import { Problem } from '../problem.ts'
import type { Database } from '../store/database.ts'

/** Streams of what happens, to pages that are open (server-sent events, HTML 9.2). */
export interface EventStreams {
  /** @param watch what the page shows at this time, and is told every difference of */
  open(ctx: Context, watch?: 'fleet'): void
  close(): void
}

/** A proxy ends what is silent for longer; and what is gone is noticed by it. In milliseconds. */
const HEARTBEAT_MS = 20_000
/** Pages that one account may have open; of a browser, a few are. */
const MOST_OF_ACCOUNT = 20
/** The longest that a timer can wait; in milliseconds. */
const LONGEST_TIMER_MS = 2 ** 31 - 1
/** Pages beyond these are told to come again later. */
const MAX_STREAMS = 1000
/** A page that reads so slowly that more than this waits for it is cut off; it comes back by itself. */
const MAX_WAITING_BYTES = 64 * 1024

/** Instances of a large fleet report many times a second: pages are told at most once in this time, in milliseconds. */
const REPORTS_TOGETHER_MS = 1000

/** Makes the streams of one process. */
export function createEventStreams({ listen }: Database, fleet: Pick<FleetView, 'headline' | 'watch'>): EventStreams {
  const streams = new Set<Context>()
  const watching = new Set<Context>()
  let endWatching: (() => void) | undefined
  let reported: NodeJS.Timeout | undefined
  const send = (text: string, to: ReadonlySet<Context> = streams) => {
    for (const { res } of to) {
      if (res.writableLength > MAX_WAITING_BYTES) res.destroy()
      else res.write(text)
    }
  }
  const write = (event: string, payload: unknown) => `event: ${event}\ndata: ${JSON.stringify(payload)}\n\n`
  const tell = (event: string) => (payload: string) => send(write(event, payload))
  const tellReports = () => {
    reported ??= setTimeout(() => {
      reported = undefined
      send(write('report', ''))
    }, REPORTS_TOGETHER_MS).unref()
  }
  /** Who was signed out, or switched off, hears no more. */
  const endOf = (ended: string) => {
    for (const { res, state } of streams) {
      const { account_id, credential } = state.actor as Actor
      // After an interruption it is not known who was: all have to ask again.
      if (ended === '' || String(account_id) === ended || credential?.id === ended) res.end()
    }
  }
  const ends = [
    listen('studio_signed_out', endOf),
    listen('studio_version', tell('version')),
    listen('studio_change', tell('change')),
    listen('studio_report', tellReports),
  ]
  const heartbeat = setInterval(() => send(':\n\n'), HEARTBEAT_MS).unref()

  return Object.freeze({
    open(ctx, watch) {
      const { account_id, credential } = ctx.state.actor as Actor
      const own = [...streams].filter(({ state }) => state.actor.account_id === account_id).length
      if (own >= MOST_OF_ACCOUNT) throw tooMany('you have too many pages open')
      if (streams.size >= MAX_STREAMS) throw tooMany('too many pages are open')
      const left = (credential?.expires_at?.getTime() ?? Number.POSITIVE_INFINITY) - Date.now()
      const timer = setTimeout(() => ctx.res.end(), Math.max(0, Math.min(left, LONGEST_TIMER_MS))).unref()
      ctx.respond = false
      ctx.res.writeHead(200, {
        'Content-Type': 'text/event-stream',
        'Cache-Control': 'no-store',
        'X-Accel-Buffering': 'no',
      })
      ctx.res.write('retry: 2000\n\n')
      streams.add(ctx)
      if (watch === 'fleet') {
        watching.add(ctx)
        endWatching ??= fleet.watch((change) => send(write('fleet', change), watching))
        // Whatever has changed since the page was loaded: it looks once more.
        ctx.res.write(write('fleet', { headline: fleet.headline(), changed: [], gone: [] }))
      }
      ctx.res.once('close', () => {
        clearTimeout(timer)
        streams.delete(ctx)
        watching.delete(ctx)
        if (watching.size > 0) return
        endWatching?.()
        endWatching = undefined
      })
    },
    close() {
      clearInterval(heartbeat)
      clearTimeout(reported)
      for (const end of ends) end()
      for (const { res } of streams) res.end()
    },
  } satisfies EventStreams)
}

const tooMany = (message: string) => new Problem(503, message, { headers: { 'Retry-After': '30' } })
