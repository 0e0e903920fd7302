import type { ServerResponse } from 'node:http'

/** The methods by which a response is written. */
export type WriteMethod = 'writeHead' | 'write' | 'end' | 'flushHeaders'

const METHODS: readonly WriteMethod[] = ['writeHead', 'write', 'end', 'flushHeaders']

/** A response whose writers come to somebody else first. */
export interface Interception {
  /** Writes as without the interception. */
  write(method: WriteMethod, given: readonly unknown[]): unknown
  /** From now on everything is written as it comes. */
  stop(): void
  /** Takes that back. */
  resume(): void
}

/**
 * Has everything that would be written to a response come here first. What others have put in place of the response's methods
 * before, or put there later, goes on to work.
 *
 * @param written called in place of the method; returns what that returns
 */
export function interceptWrites(
  res: ServerResponse,
  written: (method: WriteMethod, given: readonly unknown[]) => unknown,
): Interception {
  let stopped = false
  const originals = Object.fromEntries(METHODS.map((method) => [method, res[method]])) as Record<
    WriteMethod,
    (...given: readonly unknown[]) => unknown
  >
  const write = (method: WriteMethod, given: readonly unknown[]) => {
    // Node's own methods call one another: these calls are ours by then.
    const outer = stopped
    stopped = true
    try {
      return originals[method].apply(res, given as unknown[])
    } finally {
      stopped = outer
    }
  }
  for (const method of METHODS) {
    const intercepted = (...given: unknown[]) =>
      stopped ? originals[method].apply(res, given) : written(method, given)
    Object.assign(res, { [method]: intercepted })
  }
  return {
    write,
    stop() {
      stopped = true
    },
    resume() {
      stopped = false
    },
  }
}
