import { messageOf } from '../errors.ts'
import { Failure } from './failure.ts'

/** How long an answer may take, its body included. */
export const TIMEOUT_MS = 10_000

/** What a server answered. */
export interface Answered {
  readonly status: number
  readonly bytes: Uint8Array
}

/**
 * Sends a request, and reads all of the answer.
 *
 * @throws Failure where there is none in time
 */
export async function ask(url: string, options: RequestInit, timeout_ms = TIMEOUT_MS): Promise<Answered> {
  try {
    const response = await fetch(url, { ...options, signal: AbortSignal.timeout(timeout_ms) })
    return { status: response.status, bytes: new Uint8Array(await response.arrayBuffer()) }
  } catch (cause) {
    const late = (cause as Error).name === 'TimeoutError'
    throw new Failure(`${url}: ${late ? `no answer within ${timeout_ms / 1000} s` : messageOf(cause)}`, 2, cause)
  }
}
