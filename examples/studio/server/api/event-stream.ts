import type { Context } from 'koa'
import type { Actor } from '../auth/actor.ts'
import { Problem } from '../problem.ts'
import type { Database } from '../store/database.ts'

/** Streams of what happens, to pages that are open (server-sent events, HTML 9.2). */
export interface EventStreams {
  open(ctx: Context): void
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

/** Makes the streams of one process. */
export function createEventStreams({ listen }: Database): EventStreams {
  const streams = new Set<Context>()
  const send = (text: string) => {
    for (const { res } of streams) {
      if (res.writableLength > MAX_WAITING_BYTES) res.destroy()
      else res.write(text)
    }
  }
  const tell = (event: string) => (payload: string) => send(`event: ${event}\ndata: ${JSON.stringify(payload)}\n\n`)
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
    listen('studio_report', tell('report')),
  ]
  const heartbeat = setInterval(() => send(':\n\n'), HEARTBEAT_MS).unref()

  return Object.freeze({
    open(ctx) {
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
      ctx.res.once('close', () => {
        clearTimeout(timer)
        streams.delete(ctx)
      })
    },
    close() {
      clearInterval(heartbeat)
      for (const end of ends) end()
      for (const { res } of streams) res.end()
    },
  } satisfies EventStreams)
}

const tooMany = (message: string) => new Problem(503, message, { headers: { 'Retry-After': '30' } })
