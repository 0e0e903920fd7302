import { DynacodeError } from '../../errors.ts'
import { cacheError } from './safety.ts'
import type { Trouble } from './trouble.ts'

/** What is done with the disk, and to what; each can fail while the others work. */
type Part = `${'read' | 'written'}${'' | ` ${string}`}`

/** Things done with the disk. Where one fails that is said, and the fallback returned; nothing is begun once it is closed. */
export interface Attempts {
  once<T>(part: Part, fallback: T, action: () => T): T
  /** As `once`, of what takes a while. What is laid down by closing has not failed. */
  long<T>(part: Part, fallback: T, action: () => Promise<T>): Promise<T>
}

/** @param path of the cache, for messages */
export function createAttempts(path: string, trouble: Trouble, closing: AbortSignal): Attempts {
  function fail<T>(part: Part, fallback: T, error: unknown): T {
    trouble.failed(part, asCacheError(error, `the cache at ${path} cannot be ${part.split(' ')[0]}`))
    return fallback
  }

  return Object.freeze({
    once(part, fallback, action) {
      if (closing.aborted) return fallback
      try {
        const result = action()
        trouble.over(part)
        return result
      } catch (error) {
        return fail(part, fallback, error)
      }
    },
    async long(part, fallback, action) {
      if (closing.aborted) return fallback
      try {
        const result = await action()
        trouble.over(part)
        return result
      } catch (error) {
        return closing.aborted ? fallback : fail(part, fallback, error)
      }
    },
  } satisfies Attempts)
}

function asCacheError(error: unknown, what: string): DynacodeError {
  if (error instanceof DynacodeError) return error
  // Without the call and the temporary file's name, which are different each time.
  const [reason] = String((error as Error).message).split(', ')
  return cacheError(`${what}: ${reason}`, error)
}
