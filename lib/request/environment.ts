import { DynacodeError } from '../errors.ts'
import type { Exit, LivePlugin, Say } from '../program.ts'
import { describeValue } from '../schema-error.ts'
import type { RequestState } from './state.ts'

/** Thrown by exit() to stop the plugin's code; by itself no error. */
export const EXIT = Object.freeze(new DynacodeError('ERR_DYNACODE_EXIT', 'exit() was called: let this pass'))

/** The names that are made anew for a run of a plugin, as far as its code uses them. */
export interface RunEnvironment {
  readonly exit: Exit | undefined
  readonly say: Say | undefined
  readonly fetch: typeof globalThis.fetch | undefined
  readonly signal: AbortSignal | undefined
  /** Ends the run: from now on exit() and say() change nothing, and the signal will not abort any more. */
  finish(): void
}

const EMPTY: RunEnvironment = Object.freeze({
  exit: undefined,
  say: undefined,
  fetch: undefined,
  signal: undefined,
  finish() {},
})

/** Makes what one run of a plugin has in scope. */
export function createRunEnvironment(state: RequestState, plugin: LivePlugin, timeout_ms: number): RunEnvironment {
  const { uses } = plugin
  if (!uses.exit && !uses.say && !uses.fetch && !uses.signal) return EMPTY
  let running = true
  const abortion = uses.fetch || uses.signal ? createAbortion(state, timeout_ms) : undefined
  return {
    exit: uses.exit ? createExit(state, () => running) : undefined,
    say: uses.say ? createSay(state, () => running) : undefined,
    fetch: uses.fetch && abortion !== undefined ? createFetch(abortion.signal) : undefined,
    signal: abortion?.signal,
    finish() {
      running = false
      abortion?.clear()
    },
  }
}

function createExit(state: RequestState, isRunning: () => boolean): Exit {
  return (status, body, headers) => {
    if (!isRunning())
      throw new DynacodeError('ERR_DYNACODE_EXIT', 'exit() came after the plugin had ended: it has no effect')
    const code = Number(status)
    // The request ends even if the plugin's own code swallows what is thrown here.
    if (Number.isInteger(code) && code >= 200 && code <= 599) {
      state.ending = { status: code, body, headers }
      throw EXIT
    }
    state.ending = { status: 500 }
    throw new DynacodeError(
      'ERR_DYNACODE_EXIT',
      `exit(status): expected an integer from 200 to 599, got ${describeValue(status)}`,
    )
  }
}

function createSay(state: RequestState, isRunning: () => boolean): Say {
  return (...text) => {
    const { ctx } = state
    if (!isRunning() || ctx.headerSent) return
    const said = typeof ctx.body === 'string' ? ctx.body : ''
    if (!ctx.res.hasHeader('Content-Type')) ctx.type = 'text'
    ctx.body = `${said}${text.join('')}\n`
  }
}

function createFetch(signal: AbortSignal): typeof globalThis.fetch {
  return (input, init) =>
    globalThis.fetch(input, { ...init, signal: init?.signal ? AbortSignal.any([init.signal, signal]) : signal })
}

/** A signal that aborts when the client goes away or the time is over. */
function createAbortion({ ctx }: RequestState, timeout_ms: number): { signal: AbortSignal; clear(): void } {
  const controller = new AbortController()
  const { res } = ctx
  const gone = () => {
    if (!res.writableFinished) controller.abort(new DynacodeError('ERR_DYNACODE_ABORTED', 'the client is gone'))
  }
  const late = () =>
    controller.abort(new DynacodeError('ERR_DYNACODE_TIMEOUT', `the plugin ran for more than ${timeout_ms} ms`))
  const timer = setTimeout(late, timeout_ms)
  timer.unref()
  if (res.destroyed) gone()
  else res.once('close', gone)
  return {
    signal: controller.signal,
    clear() {
      clearTimeout(timer)
      res.off('close', gone)
    },
  }
}
