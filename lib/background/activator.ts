import createDebug from 'debug'
import { DynacodeError } from '../errors.ts'
import type { Events } from '../events/emitter.ts'
import type { Origin, PluginInfo, Update } from '../events/table.ts'
import type { LivePlugin, Program } from '../program.ts'
import { runInSlices } from '../time/slices.ts'
import { runSteps, type Steps } from '../time/steps.ts'
import type { Builder } from './builder.ts'
import type { Asked } from './cache/asked.ts'
import type { Activated, Course, Preparation, Prepared, Received } from './preparation.ts'
import { NO_TEXT } from './reading/live-text.ts'
import { wholeOf } from './reading/rope.ts'
import { type Attempted, createStanding } from './standing.ts'
import type { Verifier } from './trust/verifier.ts'
import { tellOfUpdate } from './update-events.ts'

const debug = createDebug('dynacode:activator')

/**
 * Makes documents live. The one place where that is decided: what was asked for earlier never replaces what was asked for
 * later, by whatever way it comes.
 */
export interface Activator {
  activated(): Activated | null
  /** The document that was looked at last, whatever came of it; null before there was one. */
  attempted(): Attempted | null
  /**
   * The source had the live document, under this tag, when it was asked then: what was attempted since is no longer of interest.
   * Nothing changes where that is of an earlier time than what is known.
   */
  confirm(asked: Asked, tag: string | undefined): void
  /**
   * Checks, compiles and swaps, after its signature was verified where keys are configured. In slices, beside which
   * everything else goes on, and one document after the other.
   *
   * @param keep puts a signed document on the disk, once all is well with it and before it goes live: whoever ends the process
   *   from then on cannot have an older one be taken after that
   * @returns undefined when nothing changed: these bytes are live already, or what was asked for later is
   * @throws DynacodeError when the document is refused whole; nothing has changed then
   */
  activate(
    received: Received,
    duration: () => number,
    keep?: (version: number | string) => Promise<void>,
  ): Promise<Update | undefined>
  /**
   * Has the unit of a live plugin go back to its earlier version, where it has one; after a document that is being activated.
   *
   * @param why what has become of the plugin
   */
  revert(plugin: PluginInfo, why: string): Promise<void>
  /** As `activate`, whether signed or not, and at once; not while another document is being activated. */
  activateTrusted(received: Received, duration: () => number): Update | undefined
}

/**
 * Makes the activator of one instance.
 *
 * @param swap makes a program the live one, of which some plugins are new; the only way in which anything changes
 * @param validated called when the source had what is live now, as far as anybody has asked, in milliseconds since 1970
 * @param closing breaks off what is under way, and has it cleaned up, at once
 */
export function createActivator({
  preparation,
  verifier,
  builder,
  events,
  closing,
  swap,
  validated,
}: {
  preparation: Preparation
  verifier: Verifier | undefined
  builder: Builder
  events: Events
  closing: AbortSignal
  swap: (program: Program, begun: readonly LivePlugin[], from: Origin) => void
  validated: (at: number) => void
}): Activator {
  const { activated, attempted, take, amend, refuse, confirm, isSettled } = createStanding(validated)
  let live = NO_TEXT
  let running: Promise<unknown> = Promise.resolve()

  function* goLive(received: Received, prepared: Prepared, duration: () => number): Steps<Update> {
    const { bytes, sha1, tag, from, asked } = received
    const { document, learn, version, document_sha1, built } = prepared
    const { program, failures, faults, kept } = built
    const { expires } = document
    const build = { program, failures, faults, kept }
    take(Object.freeze({ version, bytes, sha1, document_sha1, tag, from, asked, at: Date.now(), expires, build }))
    live = NO_TEXT
    swap(program, built.begun, from)
    // Before anybody is told: whoever looks then sees that it is fresh.
    if (asked !== undefined) validated(asked.at)
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
    return yield* tellOfUpdate(events, built, version, from, took_ms)
  }

  /** Has it put on the disk before it goes live. What was built and does not go live is ended again. */
  async function goLiveKept(
    received: Received,
    prepared: Prepared,
    keep: (version: number | string) => Promise<void>,
    duration: () => number,
  ): Promise<Update> {
    const { version, built } = prepared
    try {
      await keep(version)
      preparation.checkAgain(prepared, received.from, activated())
      return await inSlices(goLive(received, prepared, duration))
    } catch (error) {
      if (activated()?.build.program !== built.program) runSteps(builder.end(built.begun))
      throw error
    }
  }

  /** Before the first document is live, it is what an app that starts waits for. */
  const inSlices = <T>(steps: Steps<T>) => runInSlices(steps, closing, activated() === null)

  /** What a document is built beside must not change meanwhile. */
  function inTurn<T>(run: () => Promise<T>): Promise<T> {
    const turn = running.then(run)
    running = turn.catch(() => undefined)
    return turn
  }

  function* goBack(plugin: PluginInfo, why: string): Steps<void> {
    const current = activated()
    const unit = current?.build.program.plugins.find(({ info }) => info === plugin)?.spec.unit?.name
    if (current === null || unit === undefined) return
    const message = `the unit ${JSON.stringify(unit)} went back to its earlier version: of ${JSON.stringify(plugin.name)}, ${why}`
    const error = new DynacodeError('ERR_DYNACODE_UNIT', message)
    const reverted = yield* builder.revert(current.build, plugin, error)
    if (reverted === undefined) return
    const { program, failures, kept, begun, replaced } = reverted
    amend({ program, failures, kept, faults: current.build.faults })
    // What is known of the domain's text is what has failed.
    live = NO_TEXT
    swap(program, begun, current.from)
    yield* builder.end(replaced)
    events.emit('bg_unit_reverted', { unit, plugin, error, plugins: Object.freeze(begun.map(({ info }) => info)) })
  }

  return Object.freeze({
    activated,
    attempted,
    confirm,
    async activate(received, duration, keep) {
      const course = begin(received)
      try {
        const signed = verifier !== undefined && received.trusted !== true
        const text = signed
          ? (await verifier.verify(await inSlices(wholeOf(received.bytes)), inSlices)).text_bytes
          : received.bytes
        return await inTurn(async () => {
          if (isSettled(received)) return undefined
          const prepared = await inSlices(preparation.prepare(received, course, text, signed, activated(), live))
          if (signed && keep !== undefined) return goLiveKept(received, prepared, keep, duration)
          return inSlices(goLive(received, prepared, duration))
        })
      } catch (error) {
        // Whoever asks later wants to know what was wrong with it.
        refuse(received, course.version, error)
        throw error
      }
    },
    revert: (plugin, why) =>
      inTurn(() => runInSlices(goBack(plugin, why), closing)).catch((error: unknown) => {
        if (!closing.aborted) events.emit('on_error', { section: 'document', error })
      }),
    activateTrusted(received, duration) {
      if (isSettled(received)) return undefined
      const course = begin(received)
      try {
        const steps = preparation.prepare(received, course, received.bytes, false, activated(), live)
        return runSteps(goLive(received, runSteps(steps), duration))
      } catch (error) {
        refuse(received, course.version, error)
        throw error
      }
    },
  } satisfies Activator)
}

/** Goes by its bytes until it is known what it says itself. */
const begin = ({ sha1 }: Received): Course => ({ version: sha1.slice(0, 12) })
