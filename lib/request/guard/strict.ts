import { randomUUID } from 'node:crypto'
import type { Session } from 'node:inspector'
import { DynacodeError } from '../../errors.ts'

/** Runs functions, and ends those that take too long, whatever they are doing. */
export interface Trampoline {
  /** Why it cannot be had here; undefined when it can. Tried once. */
  refusal(): DynacodeError | undefined
  /**
   * @param limit_ms milliseconds until V8 ends the call; counted in whole ones
   * @returns what the function returned, or that it was ended
   * @throws what the function throws, and `refusal()`
   */
  call(task: () => unknown, limit_ms: number): { readonly ended: boolean; readonly value: unknown }
  close(): void
}

interface Connection {
  readonly session: Session
  readonly key: string
  task: () => void
}

/**
 * Makes the trampoline of one instance. The call goes through V8's inspector, in this thread and without a port: of what
 * Node offers it alone ends running code so that everything else goes on, at a fraction of the cost of `vm`'s timeout.
 */
export function createTrampoline(): Trampoline {
  let connection: Connection | undefined
  let refusal: DynacodeError | undefined

  /** @throws why there is no inspector, or not for this realm */
  function connect(): Connection {
    const { Session } = process.getBuiltinModule('node:inspector')
    const key = `dynacode trampoline ${randomUUID()}`
    const connected: Connection = { session: new Session(), key, task: () => undefined }
    connected.session.connect()
    // The inspector evaluates text; this is how the text names the function that is meant.
    Object.defineProperty(globalThis, key, { value: () => connected.task(), configurable: true })
    let reached = false
    connected.task = () => {
      reached = true
    }
    evaluate(connected, 1000)
    if (reached) return connected
    disconnect(connected)
    throw new Error('the inspector belongs to another realm')
  }

  function open(): Connection | undefined {
    if (refusal !== undefined) return undefined
    try {
      connection ??= connect()
    } catch (cause) {
      const message = `guard: "strict" cannot be had in this process: ${(cause as Error).message}; use "on"`
      refusal = new DynacodeError('ERR_DYNACODE_STRICT', message, { cause })
    }
    return connection
  }

  return Object.freeze({
    refusal() {
      open()
      return refusal
    },
    call(wanted, limit_ms) {
      const opened = open()
      if (opened === undefined) throw refusal
      let outcome: { readonly value?: unknown; readonly error?: unknown; readonly threw: boolean } | undefined
      const outer = opened.task
      opened.task = () => {
        try {
          outcome = { value: wanted(), threw: false }
        } catch (error) {
          outcome = { error, threw: true }
        }
      }
      evaluate(opened, limit_ms)
      opened.task = outer
      if (outcome === undefined) return { ended: true, value: undefined }
      if (outcome.threw) throw outcome.error
      return { ended: false, value: outcome.value }
    },
    close() {
      if (connection !== undefined) disconnect(connection)
      connection = undefined
    },
  } satisfies Trampoline)
}

function evaluate({ session, key }: Connection, limit_ms: number): void {
  const expression = `void globalThis[${JSON.stringify(key)}]()`
  session.post('Runtime.evaluate', { expression, timeout: Math.max(1, Math.ceil(limit_ms)), silent: true })
}

function disconnect({ session, key }: Connection): void {
  session.disconnect()
  Reflect.deleteProperty(globalThis, key)
}
