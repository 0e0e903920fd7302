import type { ServerResponse } from 'node:http'
import { DynacodeError } from '../errors.ts'
import type { Exit, Say } from '../program.ts'
import { describeValue } from '../validation/schema-error.ts'
import { EXIT } from './run/exit.ts'
import type { Run } from './run/record.ts'

/** Makes what ends the request and the run. */
export function createExit(run: Run): Exit {
  return (status, body, headers) => {
    const { state } = run
    if (state === null || run.finished || run.dead !== null) {
      throw new DynacodeError('ERR_DYNACODE_EXIT', 'exit() came after the plugin had ended: it has no effect')
    }
    // The request ends even if the plugin's own code swallows what is thrown here, whatever that is.
    state.ending = { status: 500 }
    const code = Number(status)
    if (Number.isInteger(code) && code >= 200 && code <= 599) {
      state.ending = { status: code, body, headers, plugin: run.plugin }
      throw EXIT
    }
    const message = `exit(status): expected an integer from 200 to 599, got ${describeValue(status)}`
    throw new DynacodeError('ERR_DYNACODE_EXIT', message)
  }
}

/** Makes what adds lines to the response's body. */
export function createSay(run: Run): Say {
  return (...text) => {
    if (run.state === null || run.finished || run.dead !== null) return
    const { ctx } = run.state
    if (ctx.headerSent) return
    const said = typeof ctx.body === 'string' ? ctx.body : ''
    if (!ctx.res.hasHeader('Content-Type')) ctx.type = 'text'
    ctx.body = `${said}${text.join('')}\n`
  }
}

/**
 * Makes a `fetch` that ends with the run.
 *
 * @param track sees to promises that nobody waits for
 */
export function createFetch(
  run: Run,
  signal: AbortSignal,
  track: (run: Run, value: unknown) => unknown,
): typeof globalThis.fetch {
  return (input, init) => {
    const own = init?.signal ?? (input instanceof Request ? input.signal : undefined)
    const signals = own ? AbortSignal.any([own, signal]) : signal
    return track(run, globalThis.fetch(input, { ...init, signal: signals })) as Promise<Response>
  }
}

/** A signal that aborts when the client goes away, and when the run is ended before its time. */
export function createSignal(run: Run): AbortSignal {
  const controller = new AbortController()
  run.abort = (reason) => controller.abort(reason)
  // The log phase comes when the client is done or gone, and has its work to do all the same.
  if (run.plugin.phase !== 'log' && run.state !== null) abortWithClient(run, run.state.ctx.res, controller)
  return controller.signal
}

function abortWithClient(run: Run, res: ServerResponse, controller: AbortController): void {
  const gone = () => {
    if (!res.writableFinished) controller.abort(new DynacodeError('ERR_DYNACODE_ABORTED', 'the client is gone'))
  }
  if (res.destroyed) return gone()
  res.once('close', gone)
  // One request may have any number of runs: one for each chunk of its body.
  run.release = () => res.off('close', gone)
}
