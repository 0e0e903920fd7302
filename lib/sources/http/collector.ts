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
 * @param known what may come once more: as long as that is so it is compared alone, and if it is to the end, it is returned
 */
export function createCollector(
  max_bytes: number,
  expected: number | undefined,
  known: Collected | undefined = undefined,
): Collector {
  const hash = createHash('sha1')
  const full: Uint8Array[] = []
  let filling: Uint8Array | undefined
  let filled = 0
  let total = 0
  /** How many of the known bytes came, of which nothing is kept yet; undefined once there was another one. */
  let same = known === undefined ? undefined : 0
  let refusal: DynacodeError | undefined

  function put(bytes: Uint8Array): void {
    hash.update(bytes)
    let rest = bytes
    while (rest.length > 0) {
      if (filling === undefined || filled === filling.length) extend()
      const room = filling as Uint8Array
      const part = rest.subarray(0, room.length - filled)
      room.set(part, filled)
      filled += part.length
      total += part.length
      rest = rest.subarray(part.length)
    }
  }

  /** As much again as there is: so there are few pieces, however much comes, and no more room than twice of that. */
  function extend(): void {
    if (filling !== undefined && filled > 0) full.push(filling)
    const first = Math.min(expected ?? known?.bytes.length ?? FIRST_BYTES, max_bytes)
    filling = Buffer.allocUnsafeSlow(filling === undefined && first > 0 ? first : Math.max(FIRST_BYTES, total))
    filled = 0
  }

  function* putKnown(): Steps<void> {
    const [bytes, end] = [known?.bytes as Uint8Array, same as number]
    same = undefined
    for (let at = 0; at < end; at += STRETCH) {
      put(bytes.subarray(at, Math.min(at + STRETCH, end)))
      yield
    }
  }

  function isSame(part: Uint8Array): boolean {
    const start = same as number
    const there = known?.bytes.subarray(start, start + part.length) as Uint8Array
    return there.length === part.length && Buffer.compare(there, part) === 0
  }

  return {
    refusal: () => refusal,
    *add(chunk) {
      if (total + (same ?? 0) + chunk.length > max_bytes) {
        const message = `the document has more than ${max_bytes} bytes (plugin_api_max_bytes)`
        refusal = new DynacodeError('ERR_DYNACODE_FETCH_TOO_LARGE', message)
        throw refusal
      }
      for (let at = 0; at < chunk.length; at += STRETCH) {
        if (at > 0) yield
        const part = chunk.subarray(at, at + STRETCH)
        if (same !== undefined && isSame(part)) same += part.length
        else {
          if (same !== undefined) yield* putKnown()
          put(part)
        }
      }
    },
    *collected() {
      if (known !== undefined && same === known.bytes.length) return known
      if (same !== undefined) yield* putKnown()
      const sha1 = hash.digest('hex')
      const last = filling === undefined ? Buffer.alloc(0) : filling.subarray(0, filled)
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
