import { randomUUID } from 'node:crypto'
import { Session } from 'node:inspector'

/** Runs functions, and ends those that take too long, whatever they are doing. */
export interface Trampoline {
  /**
   * @param limit_ms milliseconds until V8 ends the call; counted in whole ones
   * @returns what the function returned, or that it was ended
   * @throws what the function throws
   */
  call(task: () => unknown, limit_ms: number): { readonly ended: boolean; readonly value: unknown }
  close(): void
}

/**
 * Makes the trampoline of one instance. The call goes through V8's inspector, in this thread and without a port: of what
 * Node offers it alone ends running code so that everything else goes on, at a fraction of the cost of `vm`'s timeout.
 */
export function createTrampoline(): Trampoline {
  const key = `dynacode trampoline ${randomUUID()}`
  const expression = `void globalThis[${JSON.stringify(key)}]()`
  let session: Session | undefined
  let task: (() => void) | undefined

  function connect(): Session {
    const connected = new Session()
    connected.connect()
    // The inspector evaluates text; this is how the text names the function that is meant.
    Object.defineProperty(globalThis, key, { value: () => task?.(), configurable: true })
    return connected
  }

  return Object.freeze({
    call(wanted, limit_ms) {
      session ??= connect()
      let outcome: { readonly value?: unknown; readonly error?: unknown; readonly threw: boolean } | undefined
      const outer = task
      task = () => {
        try {
          outcome = { value: wanted(), threw: false }
        } catch (error) {
          outcome = { error, threw: true }
        }
      }
      session.post('Runtime.evaluate', { expression, timeout: Math.max(1, Math.ceil(limit_ms)), silent: true })
      task = outer
      if (outcome === undefined) return { ended: true, value: undefined }
      if (outcome.threw) throw outcome.error
      return { ended: false, value: outcome.value }
    },
    close() {
      session?.disconnect()
      session = undefined
      Reflect.deleteProperty(globalThis, key)
    },
  } satisfies Trampoline)
}
