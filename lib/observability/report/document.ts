import type { Failure } from '../../background/plugin-builder.ts'
import type { Activated } from '../../background/preparation.ts'
import { reasonOf } from '../../background/refresh.ts'
import type { Attempted } from '../../background/standing.ts'
import type { Phase } from '../../document.ts'
import { CompileError, type DocumentError } from '../../errors.ts'
import type { NoUpdate, Origin } from '../../events/table.ts'
import { limitText } from '../plain-error.ts'
import { MAX_TEXT_LENGTH, type ReportedError, reportError } from './error.ts'
import { fill } from './rows.ts'

/** The identity of a document: its version, bytes and tag. */
interface DocumentIdentity {
  /** `general.version`, otherwise the first 12 digits of `sha1`. */
  readonly version: number | string
  /** SHA-1 of the document's bytes as received, after decompression, in hex. */
  readonly sha1: string
  /** The ETag that came with it; null if there was none. */
  readonly etag: string | null
  readonly from: Origin
}

/** The live document. */
export interface ReportedDocument extends DocumentIdentity {
  readonly since: number
  /** When the source last confirmed it. */
  readonly validated_at: number | null
  /** Whether it enables the plugins. */
  readonly enabled: boolean
}

/** The document that was processed last. */
export interface ReportedAttempt extends DocumentIdentity {
  readonly at: number
  /** `ack`: it is live; `partial`: it is live, except what is in `refused`; `nack`: the whole document was refused. */
  readonly verdict: 'ack' | 'partial' | 'nack'
  /** Why the whole document was refused. */
  readonly reason: NoUpdate['reason'] | null
  readonly error: ReportedError | null
  /** Its plugins and other parts that were refused. */
  readonly refused: readonly RefusedPart[]
  /** How many were omitted. */
  readonly refused_left_out: number
}

/** A refused plugin; or a refused domain or other part, with null instead of the plugin. */
export interface RefusedPart {
  readonly domain: string | null
  readonly name: string | null
  readonly phase: Phase | null
  readonly path: string
  readonly code: string
  readonly message: string
  /** In the plugin's own code, from 1. */
  readonly line: number | null
  readonly column: number | null
  readonly kept_last_good: boolean
}

/** What the list may take of a report, in bytes. */
const REFUSED_BYTES = 12 * 1024

/** An ETag that is cut off is none. */
const MAX_ETAG_LENGTH = 256

/** Describes the document that is live. */
export function describeActive(activated: Activated, validated_at: number | null): ReportedDocument {
  return { ...identify(activated), since: activated.at, validated_at, enabled: activated.build.program.enabled }
}

function identify({ version, sha1, tag, from }: Activated | Attempted): DocumentIdentity {
  return {
    version: typeof version === 'string' ? limitText(version, MAX_TEXT_LENGTH) : version,
    sha1,
    etag: tag === undefined || tag.length > MAX_ETAG_LENGTH ? null : tag,
    from,
  }
}

/** Describes what came of the document that was looked at last. */
export function describeAttempt(attempted: Attempted | null, activated: Activated | null): ReportedAttempt | null {
  if (attempted === null) return null
  const { at, error } = attempted
  const identity = identify(attempted)
  if (error !== null) {
    const refusal = { reason: reasonOf(error), error: reportError(error), refused: [], refused_left_out: 0 }
    return { ...identity, at, verdict: 'nack', ...refusal }
  }
  const { faults, failures } = activated?.build ?? { faults: [], failures: [] }
  const { rows, left_out } = fill([...faults, ...failures], REFUSED_BYTES, describeRefused)
  const verdict = rows.length + left_out > 0 ? 'partial' : 'ack'
  return { ...identity, at, verdict, reason: null, error: null, refused: rows, refused_left_out: left_out }
}

function describeRefused(refused: DocumentError | Failure): RefusedPart {
  if (!('info' in refused)) {
    const { code, message, path } = reportError(refused)
    const nobody = { domain: null, name: null, phase: null, line: null, column: null, kept_last_good: false }
    return { ...nobody, path: path ?? '', code, message }
  }
  const { info, path, error, kept_last_good } = refused
  const { domain, name, phase } = info
  const { line = null, column = null } = error instanceof CompileError ? error : {}
  const { code, message } = reportError(error)
  return { domain, name, phase, path: limitText(path, MAX_TEXT_LENGTH), code, message, line, column, kept_last_good }
}
