import type { DynacodeError } from '../../errors.ts'

/** Reports what goes wrong with the cache when that changes, not each time that it shows. */
export interface Trouble {
  /** Something that the cache does failed, for now. */
  failed(part: string, error: DynacodeError): void
  /** It works (again). */
  over(part: string): void
}

export function createTrouble(report: (error: DynacodeError) => void): Trouble {
  const known = new Map<string, string>()

  return Object.freeze({
    failed(part, error) {
      // One cause stops several parts at once: a full disk is one piece of news.
      const isNews = ![...known.values()].includes(error.message)
      known.set(part, error.message)
      if (isNews) report(error)
    },
    over(part) {
      known.delete(part)
    },
  } satisfies Trouble)
}
