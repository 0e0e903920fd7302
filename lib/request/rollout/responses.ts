import type { Context } from 'koa'
import { steadyNow } from '../../time/steady-clock.ts'

/** Hears how the responses to the requests of a rollout and of its control group end. */
export interface ResponseWatcher {
  /** Whether it wants to know how long they took: to read the clock costs more than all else here. */
  readonly is_timed: boolean
  /**
   * A response is over.
   *
   * @param duration_ms since the request met the rollout; undefined where that is not wanted, or the client did not wait for
   *   the end
   */
  responded(is_control: boolean, status: number, duration_ms: number | undefined): void
}

interface Entry {
  readonly watcher: ResponseWatcher
  readonly is_control: boolean
  readonly started: number
  /** What the rollout chose for its plugin may yet be skipped, and belongs to neither group then. */
  counts: boolean
}

const ENTRIES = Symbol('dynacode.rollouts')
type Met = Context & { [ENTRIES]?: Entry[] }

/** Has a watcher hear of the response to a request, once, however often it asks for it. */
export function awaitResponse(ctx: Context, watcher: ResponseWatcher, is_control: boolean): void {
  const met = ctx as Met
  let entries = met[ENTRIES]
  if (entries === undefined) {
    entries = listen(ctx)
    met[ENTRIES] = entries
  }
  for (const entry of entries) if (entry.watcher === watcher) return
  const started = watcher.is_timed ? steadyNow() : 0
  entries.push({ watcher, is_control, started, counts: is_control })
}

function listen({ res }: Context): Entry[] {
  const entries: Entry[] = []
  // A plugin of the phase `log` has missed the end.
  if (res.writableFinished || res.destroyed) return entries
  res.on('close', () => {
    // A client that leaves before it has anything says nothing of the response.
    if (!res.headersSent) return
    for (const { watcher, is_control, started, counts } of entries) {
      if (!counts) continue
      const is_timed = watcher.is_timed && res.writableFinished
      watcher.responded(is_control, res.statusCode, is_timed ? steadyNow() - started : undefined)
    }
  })
  return entries
}

/** The plugin of a rollout has run for a request that it chose. */
export function countResponse(ctx: Context, watcher: ResponseWatcher): void {
  for (const entry of (ctx as Met)[ENTRIES] ?? []) if (entry.watcher === watcher) entry.counts = true
}
