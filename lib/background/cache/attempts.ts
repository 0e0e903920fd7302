import { DynacodeError } from '../../errors.ts'
import { cacheError } from './safety.ts'

/** What is done with the disk, and to what; each can fail while the others work. */
type Part = `${'read' | 'written'}${'' | ` ${string}`}`

/** Things done with the disk. Where one fails that is said, and the fallback returned; nothing is begun once it is closed. */
export interface Attempts {
  once<T>(part: Part, fallback: T, action: () => T): T
  /** As `once`, of what takes a while. What is cancelled by closing has not failed. */
  long<T>(part: Part, fallback: T, action: () => Promise<T>): Promise<T>
  /** What does not work at this moment; null when all does. */
  trouble(): DynacodeError | null
}

/**
 * @param path of the cache, for messages
 * @param report called with what goes wrong when that changes, not each time that it shows
 */
export function createAttempts(path: string, report: (error: DynacodeError) => void, closing: AbortSignal): Attempts {
  const known = new Map<string, DynacodeError>()

  function fail<T>(part: Part, fallback: T, cause: unknown): T {
    if (closing.aborted) return fallback
    const error = asCacheError(cause, `the cache at ${path} cannot be ${part.split(' ')[0]}`)
    // One cause stops several parts at once: a full disk is one piece of news.
    const isNews = ![...known.values()].some(({ message }) => message === error.message)
    known.set(part, error)
    if (isNews) report(error)
    return fallback
  }

  return Object.freeze({
    once(part, fallback, action) {
      if (closing.aborted) return fallback
      try {
        const result = action()
        known.delete(part)
        return result
      } catch (error) {
        return fail(part, fallback, error)
      }
    },
    async long(part, fallback, action) {
      if (closing.aborted) return fallback
      try {
        const result = await action()
        known.delete(part)
        return result
      } catch (error) {
        return fail(part, fallback, error)
      }
    },
    trouble: () => known.values().next().value ?? null,
  } satisfies Attempts)
}

function asCacheError(error: unknown, what: string): DynacodeError {
  if (error instanceof DynacodeError) return error
  // Without the call and the temporary file's name, which are different each time.
  const [reason] = String((error as Error).message).split(', ')
  return cacheError(`${what}: ${reason}`, error)
}
