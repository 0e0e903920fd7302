import { DynacodeError } from '../errors.ts'
import type { Origin } from '../events/table.ts'
import { hashBytes } from '../sources/content-hash.ts'
import type { Change } from '../sources/http/source.ts'
import type { Steps } from '../time/steps.ts'
import type { Build, Builder } from './builder.ts'
import type { Asked } from './cache/asked.ts'
import { checkAlikeExpressions } from './reading/alike-expressions.ts'
import { type Reading, readBytes } from './reading/document-reader.ts'
import { readEdits } from './reading/edits-reader.ts'
import type { LiveText } from './reading/live-text.ts'
import { type Bytes, wholeOf } from './reading/rope.ts'
import type { DocumentRules, PartlyRead } from './reading/validator.ts'
import type { HighestVersion } from './trust/highest-version.ts'
import { checkFreshness } from './trust/verifier.ts'

/** A document as it was received: from the source, the disk, or the app itself. */
export interface Received {
  readonly bytes: Bytes
  /** SHA-1 of the bytes, in hex. */
  readonly sha1: string
  readonly tag: string | undefined
  readonly from: Origin
  /** When the source was asked for it; undefined where it was not, as with a bootstrap document. */
  readonly asked: Asked | undefined
  /** Whether it needs no signature: it is part of the app itself. */
  readonly trusted?: boolean
  /** How it differs from an earlier document, where that is known. */
  readonly change?: Change | undefined
}

/** The document that is live. Bytes, tag and version belong together: none of them outlives the others. */
export interface Activated extends Omit<Received, 'trusted' | 'change'> {
  readonly version: number | string
  /** SHA-1 of the document itself, in hex: of the bytes, or of what is signed in them. */
  readonly document_sha1: string
  /** When it went live, in milliseconds since 1970. */
  readonly at: number
  /** When it says that it ends, in milliseconds since 1970. */
  readonly expires: number | undefined
  readonly build: Pick<Build, 'program' | 'failures' | 'faults' | 'kept'>
}

/** What is known of a document while it is looked at. */
export interface Course {
  version: number | string
}

/** A document that is built, and can go live. */
export interface Prepared extends Reading {
  readonly version: number | string
  /** SHA-1 of the document itself: of the bytes, or of what is signed in them. */
  readonly document_sha1: string
  readonly built: Build
}

/** Does everything with a document but have it go live. */
export interface Preparation {
  /** @throws DynacodeError when the document is refused whole; nothing is left of it then */
  prepare(
    received: Received,
    course: Course,
    text: Bytes,
    signed: boolean,
    activated: Activated | null,
    live: LiveText,
  ): Steps<Prepared>
  /**
   * Whether a signed document may go live still: another process may have accepted a higher version meanwhile.
   *
   * @throws DynacodeError when it may not
   */
  checkAgain(prepared: Prepared, from: Origin, activated: Activated | null): void
}

/**
 * Makes the preparation of one instance.
 *
 * @param max_alike_expressions how many expressions may have to be tried for one host
 * @param max_removed_ratio share of the live plugins that a document may drop at once
 */
export function createPreparation({
  rules,
  max_alike_expressions,
  max_removed_ratio,
  highest,
  builder,
}: {
  rules: DocumentRules
  max_alike_expressions: number
  max_removed_ratio: number
  highest: HighestVersion
  builder: Builder
}): Preparation {
  /** A document from the disk may be past its end, where it is the best there is; a new one may not. */
  function checkVersion(document: PartlyRead, sha1: string, from: Origin, activated: Activated | null): void {
    const atStart = from !== 'network' && activated === null
    const known = highest.get()
    checkFreshness(
      document,
      {
        highest: known,
        active_sha1_of_highest: activated?.version === known ? activated?.document_sha1 : undefined,
        sha1,
      },
      atStart ? 0 : Date.now(),
    )
  }

  function checkRemoved(document: PartlyRead, { removed }: Build, activated: Activated | null): void {
    if (document.allow_removal || removed === 0) return
    const before = activated?.build.program.plugins.filter(({ guard }) => !guard).length ?? 0
    if (before === 0 || removed / before <= max_removed_ratio) return
    const message = `the document drops ${removed} of ${before} plugins at once, expected at most ${max_removed_ratio} of them (max_removed_ratio); if it means to, it says general.allow_removal`
    throw new DynacodeError('ERR_DYNACODE_HELD', message)
  }

  return Object.freeze({
    *prepare({ sha1, from, change }, course, text, signed, activated, live) {
      const edits = signed || change?.before !== activated?.bytes ? undefined : change?.edits
      const changed = edits && (yield* readEdits(edits, rules, live))
      const { document, learn } = changed ?? (yield* readBytes(yield* wholeOf(text), rules, live))
      const version = document.version ?? course.version
      course.version = version
      // The same document may be signed more than once, each time in other bytes.
      const document_sha1 = signed ? yield* hashBytes(yield* wholeOf(text)) : sha1
      if (signed) checkVersion(document, document_sha1, from, activated)
      const built = yield* builder.build(document, version, activated?.build.program ?? null)
      try {
        if (signed) checkVersion(document, document_sha1, from, activated)
        checkRemoved(document, built, activated)
        checkAlikeExpressions(built.program.matcher.expressions, max_alike_expressions)
      } catch (error) {
        yield* builder.end(built.begun)
        throw error
      }
      if (signed && typeof version === 'number') highest.note(version)
      return { document, learn, version, document_sha1, built }
    },
    checkAgain({ document, document_sha1, version }, from, activated) {
      // By now this one is the highest that is known, if there is none.
      if (highest.get() !== version) checkVersion(document, document_sha1, from, activated)
    },
  } satisfies Preparation)
}
