import createDebug from 'debug'
import { DocumentError, DynacodeError } from '../errors.ts'
import type { Events, Origin, Update } from '../events/table.ts'
import type { LivePlugin, Program } from '../program.ts'
import { hashBytes } from '../sources/content-hash.ts'
import { runInSlices } from '../time/slices.ts'
import { runSteps, type Steps } from '../time/steps.ts'
import type { Build, Builder } from './builder.ts'
import { checkAlikeExpressions } from './reading/alike-expressions.ts'
import { type Reading, readBytes } from './reading/document-reader.ts'
import { NO_TEXT } from './reading/live-text.ts'
import type { DocumentRules, PartlyRead } from './reading/validator.ts'
import type { HighestVersion } from './trust/highest-version.ts'
import { checkFreshness, type Verifier } from './trust/verifier.ts'

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
  readonly build: Pick<Build, 'program' | 'failures' | 'faults' | 'kept'>
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
  /**
   * Checks, compiles and swaps, after its signature was verified where keys are configured. In slices, beside which
   * everything else goes on, and one document after the other.
   *
   * @param keep puts a signed document on the disk, once all is well with it and before it goes live: whoever ends the process
   *   from then on cannot have an older one be taken after that
   * @throws DynacodeError when the document is refused whole; nothing has changed then
   */
  activate(
    received: Received,
    duration: () => number,
    keep?: (version: number | string) => Promise<void>,
  ): Promise<Update>
  /** As `activate`, whether signed or not, and at once; not while another document is being activated. */
  activateTrusted(received: Received, duration: () => number): Update
  /** Resolves when no document is being activated. */
  idle(): Promise<void>
}

/**
 * Makes the activator of one instance.
 *
 * @param max_alike_expressions how many expressions may have to be tried for one host
 * @param max_removed_ratio share of the live plugins that a document may drop at once
 * @param swap makes a program the live one, of which some plugins are new; the only way in which anything changes
 * @param closing breaks off what is under way, and has it cleaned up, at once
 */
export function createActivator({
  rules,
  max_alike_expressions,
  max_removed_ratio,
  verifier,
  highest,
  builder,
  events,
  closing,
  swap,
}: {
  rules: DocumentRules
  max_alike_expressions: number
  max_removed_ratio: number
  verifier: Verifier | undefined
  highest: HighestVersion
  builder: Builder
  events: Events
  closing: AbortSignal
  swap: (program: Program, begun: readonly LivePlugin[], from: Origin) => void
}): Activator {
  let activated: Activated | null = null
  let attempted: Attempted | null = null
  let live = NO_TEXT
  let running: Promise<unknown> = Promise.resolve()
  let waiting = 0

  /** Not before it is decided: what is under way was neither taken nor refused. */
  function note({ sha1, tag, from }: Received, version: number | string, error: DynacodeError | null): void {
    attempted = Object.freeze({ version, sha1, tag, from, at: Date.now(), error })
  }

  /** Whoever asks later wants to know what was wrong with it. */
  function refuse(received: Received, version: number | string, error: unknown): never {
    note(
      received,
      version,
      error instanceof DynacodeError ? error : new DocumentError('', String(error), { cause: error }),
    )
    throw error
  }

  /** Everything but going live. */
  function* prepare(received: Received, course: Course, text: Uint8Array, signed: boolean): Steps<Prepared> {
    const { sha1, from } = received
    const { document, learn } = yield* readBytes(text, rules, live)
    const version = document.version ?? course.version
    course.version = version
    // The same document may be signed more than once, each time in other bytes.
    const document_sha1 = signed ? yield* hashBytes(text) : sha1
    if (signed) checkVersion(document, document_sha1, from)
    const built = yield* builder.build(document, version, activated?.build.program ?? null)
    try {
      // Once more: another process may have accepted a higher one meanwhile.
      if (signed) checkVersion(document, document_sha1, from)
      checkRemoved(document, built)
      checkAlikeExpressions(built.program.matcher.expressions, max_alike_expressions)
    } catch (error) {
      yield* builder.end(built.begun)
      throw error
    }
    if (signed && typeof version === 'number') highest.note(version)
    return { document, learn, version, document_sha1, built }
  }

  function* goLive(received: Received, prepared: Prepared, duration: () => number): Steps<Update> {
    const { sha1, tag, from } = received
    const { document, learn, version, document_sha1, built } = prepared
    const { program, failures, faults, kept } = built
    const { expires } = document
    const build = { program, failures, faults, kept }
    activated = Object.freeze({ version, sha1, document_sha1, tag, from, at: Date.now(), expires, build })
    note(received, version, null)
    live = NO_TEXT
    swap(program, built.begun, from)
    const took_ms = duration()
    debug(
      'version %s is live (%s): %d plugins, %d compiled',
      version,
      from,
      program.plugins.length,
      built.compiled.length,
    )
    yield* builder.end(built.replaced)
    live = yield* learn((domain) => built.sound.get(domain))
    return yield* report(built, version, from, took_ms)
  }

  function* activateText(
    received: Received,
    course: Course,
    text: Uint8Array,
    signed: boolean,
    duration: () => number,
  ): Steps<Update> {
    return yield* goLive(received, yield* prepare(received, course, text, signed), duration)
  }

  /** Has it put on the disk before it goes live. What was built and does not go live is ended again. */
  async function goLiveKept(
    received: Received,
    prepared: Prepared,
    keep: (version: number | string) => Promise<void>,
    duration: () => number,
  ): Promise<Update> {
    const { document, document_sha1, version, built } = prepared
    try {
      await keep(version)
      // Another process may have accepted a higher one meanwhile. By now this one is the highest that is known, if none has.
      if (highest.get() !== version) checkVersion(document, document_sha1, received.from)
      return await inSlices(goLive(received, prepared, duration))
    } catch (error) {
      if (activated?.build.program !== built.program) runSteps(builder.end(built.begun))
      throw error
    }
  }

  /** A document from the disk may be past its end, where it is the best there is; a new one may not. */
  function checkVersion(document: PartlyRead, sha1: string, from: Origin): void {
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

  function checkRemoved(document: PartlyRead, { removed }: Build): void {
    if (document.allow_removal || removed === 0) return
    const before = activated?.build.program.plugins.filter(({ guard }) => !guard).length ?? 0
    if (before === 0 || removed / before <= max_removed_ratio) return
    const message = `the document drops ${removed} of ${before} plugins at once, expected at most ${max_removed_ratio} of them (max_removed_ratio); if it means to, it says general.allow_removal`
    throw new DynacodeError('ERR_DYNACODE_HELD', message)
  }

  function* report(built: Build, version: number | string, from: Origin, duration_ms: number): Steps<Update> {
    const { program, compiled, failures, faults, reused, removed } = built
    for (const error of faults) events.emit('on_error', { section: 'document', error })
    for (const { info, duration_ms: took } of events.has('bg_compile_success') ? compiled : []) {
      events.emit('bg_compile_success', { plugin: info, duration_ms: took })
      yield
    }
    for (const { info, error, kept_last_good } of failures) {
      events.emit('bg_compile_error', { plugin: info, error, kept_last_good })
      yield
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

  /** Before the first document is live, it is what an app that starts waits for. */
  const inSlices = <T>(steps: Steps<T>) => runInSlices(steps, closing, activated === null)

  /** What a document is built beside must not change meanwhile. */
  async function inTurn<T>(run: () => Promise<T>): Promise<T> {
    waiting += 1
    const before = running
    const turn = before.then(run)
    running = turn.catch(() => undefined)
    try {
      return await turn
    } finally {
      waiting -= 1
    }
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
    async activate(received, duration, keep) {
      const course = begin(received)
      try {
        const text =
          verifier === undefined ? received.bytes : (await verifier.verify(received.bytes, inSlices)).text_bytes
        const signed = verifier !== undefined
        return await inTurn(async () => {
          if (!signed || keep === undefined) return inSlices(activateText(received, course, text, signed, duration))
          const prepared = await inSlices(prepare(received, course, text, signed))
          return goLiveKept(received, prepared, keep, duration)
        })
      } catch (error) {
        return refuse(received, course.version, error)
      }
    },
    activateTrusted(received, duration) {
      const course = begin(received)
      try {
        return runSteps(activateText(received, course, received.bytes, false, duration))
      } catch (error) {
        return refuse(received, course.version, error)
      }
    },
    async idle() {
      while (waiting > 0) await running
    },
  } satisfies Activator)
}

/** A document that is built, and can go live. */
interface Prepared extends Reading {
  readonly version: number | string
  readonly document_sha1: string
  readonly built: Build
}

/** What is known of a document while it is looked at. */
interface Course {
  version: number | string
}

/** Goes by its bytes until it is known what it says itself. */
const begin = ({ sha1 }: Received): Course => ({ version: sha1.slice(0, 12) })

function attemptOf({ version, sha1, tag, from, at }: Activated): Attempted {
  return Object.freeze({ version, sha1, tag, from, at, error: null })
}
