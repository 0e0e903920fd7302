import { createHash } from 'node:crypto'
import { DynacodeError } from '../../errors.ts'
import { STRETCH, type Steps } from '../../time/steps.ts'

/** A whole body. */
export interface Collected {
  readonly bytes: Uint8Array
  /** SHA-1 of the bytes, in hex. */
  readonly sha1: string
}

/** Gathers a body's chunks, and hashes them as they come: of what came so far nothing is left to be done at the end. */
export interface Collector {
  /** @throws DynacodeError ERR_DYNACODE_FETCH_TOO_LARGE */
  add(chunk: Uint8Array): Steps<void>
  /** What came; to be called once. */
  collected(): Steps<Collected>
  /** Why no more was taken. */
  refusal(): DynacodeError | undefined
}

/** As large as the first piece of memory is where nobody says how much will come. */
const FIRST_BYTES = 65_536

/**
 * Makes a collector.
 *
 * @param expected how many bytes are said to come; it may be wrong
 */
export function createCollector(max_bytes: number, expected: number | undefined): Collector {
  const hash = createHash('sha1')
  const full: Uint8Array[] = []
  let filling = Buffer.allocUnsafeSlow(Math.min(expected ?? FIRST_BYTES, max_bytes))
  let filled = 0
  let total = 0
  let refusal: DynacodeError | undefined

  function put(bytes: Uint8Array): void {
    let rest = bytes
    while (rest.length > 0) {
      if (filled === filling.length) extend()
      const part = rest.subarray(0, filling.length - filled)
      filling.set(part, filled)
      filled += part.length
      rest = rest.subarray(part.length)
    }
  }

  /** As much again as there is: so there are few pieces, however much comes, and no more room than twice of that. */
  function extend(): void {
    if (filled > 0) full.push(filling)
    filling = Buffer.allocUnsafeSlow(Math.max(FIRST_BYTES, total))
    filled = 0
  }

  return {
    refusal: () => refusal,
    *add(chunk) {
      if (total + chunk.length > max_bytes) {
        const message = `the document has more than ${max_bytes} bytes (plugin_api_max_bytes)`
        refusal = new DynacodeError('ERR_DYNACODE_FETCH_TOO_LARGE', message)
        throw refusal
      }
      for (let at = 0; at < chunk.length; at += STRETCH) {
        if (at > 0) yield
        const part = chunk.subarray(at, at + STRETCH)
        hash.update(part)
        put(part)
        total += part.length
      }
    },
    *collected() {
      const sha1 = hash.digest('hex')
      const last = filling.subarray(0, filled)
      if (full.length === 0) return Object.freeze({ bytes: last, sha1 })
      const bytes = Buffer.allocUnsafeSlow(total)
      let at = 0
      for (const piece of [...full, last]) {
        for (let from = 0; from < piece.length; from += STRETCH) {
          const part = piece.subarray(from, from + STRETCH)
          bytes.set(part, at)
          at += part.length
          yield
        }
      }
      return Object.freeze({ bytes, sha1 })
    },
  }
}
