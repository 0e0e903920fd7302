import type { Context } from 'koa'
import { steadyNow } from '../../time/steady-clock.ts'

/** Hears how the responses to the requests of a rollout and of its control group end. */
export interface ResponseWatcher {
  /**
   * A response is over.
   *
   * @param duration_ms since the request met the rollout; undefined where the client did not wait for the end
   */
  responded(is_control: boolean, status: number, duration_ms: number | undefined): void
}

interface Entry {
  readonly watcher: ResponseWatcher
  readonly is_control: boolean
  /** What the rollout chose for its plugin may yet be skipped, and belongs to neither group then. */
  counts: boolean
}

const ENTRIES = Symbol('dynacode.rollouts')
type Met = Context & { [ENTRIES]?: Entry[] }

/** Has a watcher hear of the response to a request, once, however often it asks for it. */
export function awaitResponse(ctx: Context, watcher: ResponseWatcher, is_control: boolean): void {
  const met = ctx as Met
  const entries = met[ENTRIES]
  if (entries !== undefined) {
    if (!entries.some((entry) => entry.watcher === watcher)) {
      entries.push({ watcher, is_control, counts: is_control })
    }
    return
  }
  const first: Entry[] = [{ watcher, is_control, counts: is_control }]
  met[ENTRIES] = first
  const { res } = ctx
  // One in the phase `log` has missed it.
  if (res.writableFinished || res.destroyed) return
  const started = steadyNow()
  res.on('close', () => {
    // A client that leaves before it has anything says nothing of the response.
    if (!res.headersSent) return
    const duration_ms = res.writableFinished ? steadyNow() - started : undefined
    for (const { watcher, is_control, counts } of first) {
      if (counts) watcher.responded(is_control, res.statusCode, duration_ms)
    }
  })
}

/** The plugin of a rollout has run for a request that it chose. */
export function countResponse(ctx: Context, watcher: ResponseWatcher): void {
  for (const entry of (ctx as Met)[ENTRIES] ?? []) if (entry.watcher === watcher) entry.counts = true
}
