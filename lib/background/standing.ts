import { DocumentError, DynacodeError } from '../errors.ts'
import { type Asked, isLater } from './cache/asked.ts'
import type { Activated, Received } from './preparation.ts'

/** The document that was looked at last. */
export interface Attempted extends Omit<Received, 'bytes' | 'asked' | 'trusted' | 'change'> {
  readonly version: number | string
  /** When, in milliseconds since 1970. */
  readonly at: number
  /** Why it was refused whole; null when it went live. */
  readonly error: DynacodeError | null
}

/** Which document is live, and which was looked at last. */
export interface Standing {
  activated(): Activated | null
  attempted(): Attempted | null
  /** A document goes live. */
  take(activated: Activated): void
  /** What is live of the document is another thing from now on. */
  amend(build: Activated['build']): void
  /** A document was refused whole, not before that was decided: what is under way was neither taken nor refused. */
  refuse(received: Received, version: number | string, error: unknown): void
  /** The source had the live document, under this tag, when it was asked then; nothing changes where more is known. */
  confirm(asked: Asked, tag: string | undefined): void
  /** Whether a document changes nothing: it is live, or older than what is. */
  isSettled(received: Received): boolean
}

/**
 * Begins with nothing that is live.
 *
 * @param validated called when the source had what is live now, as far as anybody has asked, in milliseconds since 1970
 */
export function createStanding(validated: (at: number) => void): Standing {
  let activated: Activated | null = null
  let attempted: Attempted | null = null

  function note(
    { version, sha1, tag, from }: Omit<Attempted, 'at' | 'error'>,
    at: number,
    error: DynacodeError | null,
  ) {
    attempted = Object.freeze({ version, sha1, tag, from, at, error })
  }

  function confirm(asked: Asked, tag: string | undefined): void {
    if (activated === null || (activated.asked !== undefined && isLater(activated.asked, asked))) return
    activated = Object.freeze({ ...activated, asked, tag })
    note(activated, activated.at, null)
    validated(asked.at)
  }

  return Object.freeze({
    activated: () => activated,
    attempted: () => attempted,
    take(document) {
      activated = document
      note(document, Date.now(), null)
    },
    amend(build) {
      if (activated !== null) activated = Object.freeze({ ...activated, build })
    },
    refuse(received, version, error) {
      const known = error instanceof DynacodeError ? error : new DocumentError('', String(error), { cause: error })
      note({ ...received, version }, Date.now(), known)
    },
    confirm,
    isSettled({ sha1, asked, tag }) {
      if (activated === null) return false
      if (asked === undefined) return true
      if (activated.asked !== undefined && isLater(activated.asked, asked)) return true
      if (activated.sha1 !== sha1) return false
      confirm(asked, tag)
      return true
    },
  } satisfies Standing)
}
