import { createHash } from 'node:crypto'
import { TextDecoder } from 'node:util'
import createDebug from 'debug'
import type { Document } from '../document.ts'
import { DocumentError, DynacodeError } from '../errors.ts'
import type { Events, Origin, Update } from '../events.ts'
import type { Program } from '../program.ts'
import type { Build, Builder } from './builder.ts'
import type { HighestVersion } from './highest-version.ts'
import { type DocumentRules, readDocument } from './validator.ts'
import { checkFreshness, type Verifier } from './verifier.ts'

const debug = createDebug('dynacode:activator')

/** A document as it was received: from the source, the disk, or the app itself. */
export interface Received {
  readonly bytes: Uint8Array
  /** SHA-1 of the bytes, in hex. */
  readonly sha1: string
  readonly tag: string | undefined
  readonly from: Origin
}

/** The document that is live. Bytes, tag and version belong together: none of them outlives the others. */
export interface Activated extends Omit<Received, 'bytes'> {
  readonly version: number | string
  /** SHA-1 of the document itself, in hex: of the bytes, or of what is signed in them. */
  readonly document_sha1: string
  /** When it went live, in milliseconds since 1970. */
  readonly at: number
  /** When it says that it ends, in milliseconds since 1970. */
  readonly expires: number | undefined
  readonly build: Build
}

/** The document that was looked at last. */
export interface Attempted extends Omit<Received, 'bytes'> {
  readonly version: number | string
  /** When, in milliseconds since 1970. */
  readonly at: number
  /** Why it was refused whole; null when it went live. */
  readonly error: DynacodeError | null
}

/** Makes documents live. */
export interface Activator {
  activated(): Activated | null
  /** The document that was looked at last, whatever came of it; null before there was one. */
  attempted(): Attempted | null
  /** The source has the live document: what was attempted since is no longer of interest. */
  confirm(): void
  /** Gives the live document the tag by which the source knows it today. */
  retag(tag: string | undefined): void
  /** As `activateTrusted`, after its signature was verified, where keys are configured. */
  activate(received: Received, duration: () => number): Promise<Update>
  /**
   * Checks, compiles and swaps, whether signed or not.
   *
   * @throws DynacodeError when the document is refused whole; nothing has changed then
   */
  activateTrusted(received: Received, duration: () => number): Update
}

/**
 * Makes the activator of one instance.
 *
 * @param max_removed_ratio share of the live plugins that a document may drop at once
 * @param discard ends the plugins of a program that was built and will not be live
 * @param swap makes a program the live one; the only way in which anything changes
 */
export function createActivator({
  rules,
  max_removed_ratio,
  verifier,
  highest,
  build,
  events,
  isClosed,
  swap,
  discard,
}: {
  rules: DocumentRules
  max_removed_ratio: number
  verifier: Verifier | undefined
  highest: HighestVersion
  build: Builder
  events: Events
  isClosed: () => boolean
  swap: (program: Program, from: Origin) => void
  discard: (program: Program) => void
}): Activator {
  let activated: Activated | null = null
  let attempted: Attempted | null = null

  function note({ sha1, tag, from }: Received, version: number | string): void {
    attempted = Object.freeze({ version, sha1, tag, from, at: Date.now(), error: null })
  }

  /** Whoever asks later wants to know what was wrong with it. */
  function refuse(received: Received, error: unknown): never {
    // While this one was verified, another may have been looked at.
    if (attempted?.sha1 !== received.sha1) note(received, versionOf(received))
    const refusal = error instanceof DynacodeError ? error : new DocumentError('', String(error), { cause: error })
    attempted = Object.freeze({ ...(attempted as Attempted), error: refusal })
    throw error
  }

  function activateText(received: Received, text: Uint8Array, signed: boolean, duration: () => number): Update {
    const { sha1, tag, from } = received
    const document = readDocument(decodeText(text), rules)
    const version = document.version ?? versionOf(received)
    note(received, version)
    // The same document may be signed more than once, each time in other bytes.
    const document_sha1 = signed ? createHash('sha1').update(text).digest('hex') : sha1
    if (signed) checkVersion(document, document_sha1, from)
    const built = build(document, version, activated?.build.program ?? null)
    try {
      checkRemoved(document, built)
    } catch (error) {
      discard(built.program)
      throw error
    }
    if (signed && typeof version === 'number') highest.note(version)
    activated = Object.freeze({
      version,
      sha1,
      document_sha1,
      tag,
      from,
      at: Date.now(),
      expires: document.expires,
      build: built,
    })
    swap(built.program, from)
    debug(
      'version %s is live (%s): %d plugins, %d compiled',
      version,
      from,
      built.program.plugins.length,
      built.compiled.length,
    )
    return report(built, version, from, duration())
  }

  /** A document from the disk may be past its end, where it is the best there is; a new one may not. */
  function checkVersion(document: Document, sha1: string, from: Origin): void {
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

  function checkRemoved(document: Document, { removed }: Build): void {
    const before = activated?.build.program.plugins.filter(({ guard }) => !guard).length ?? 0
    if (document.allow_removal || before === 0 || removed / before <= max_removed_ratio) return
    const message = `the document drops ${removed} of ${before} plugins at once, expected at most ${max_removed_ratio} of them (max_removed_ratio); if it means to, it says general.allow_removal`
    throw new DynacodeError('ERR_DYNACODE_HELD', message)
  }

  function report(built: Build, version: number | string, from: Origin, duration_ms: number): Update {
    const { program, compiled, failures, faults, reused, removed } = built
    for (const error of faults) events.emit('on_error', { section: 'document', error })
    for (const { info, duration_ms: took } of compiled)
      events.emit('bg_compile_success', { plugin: info, duration_ms: took })
    for (const { info, error, kept_last_good } of failures) {
      events.emit('bg_compile_error', { plugin: info, error, kept_last_good })
    }
    const update: Update = Object.freeze({
      version,
      from,
      plugins: program.plugins.length,
      compiled: compiled.length,
      reused,
      removed,
      failed: failures.length + faults.length,
      duration_ms,
    })
    events.emit('bg_updated_plugins', { ...update })
    return update
  }

  return Object.freeze({
    activated: () => activated,
    attempted: () => attempted,
    confirm() {
      attempted = activated === null ? null : attemptOf(activated)
    },
    retag(tag) {
      if (activated !== null) activated = Object.freeze({ ...activated, tag })
    },
    async activate(received, duration) {
      note(received, versionOf(received))
      try {
        const text = verifier === undefined ? received.bytes : (await verifier.verify(received.bytes)).text_bytes
        if (isClosed()) throw new DynacodeError('ERR_DYNACODE_CLOSED', 'dynacode was closed')
        return activateText(received, text, verifier !== undefined, duration)
      } catch (error) {
        return refuse(received, error)
      }
    },
    activateTrusted(received, duration) {
      note(received, versionOf(received))
      try {
        return activateText(received, received.bytes, false, duration)
      } catch (error) {
        return refuse(received, error)
      }
    },
  } satisfies Activator)
}

/** Goes by its bytes until it is known what it says itself. */
const versionOf = ({ sha1 }: Received) => sha1.slice(0, 12)

function attemptOf({ version, sha1, tag, from, at }: Activated): Attempted {
  return Object.freeze({ version, sha1, tag, from, at, error: null })
}

function decodeText(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (cause) {
    throw new DocumentError('', 'the document is not UTF-8', { cause })
  }
}
