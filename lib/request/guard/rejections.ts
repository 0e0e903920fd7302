import { types } from 'node:util'
import { EXIT } from '../run/exit.ts'
import { queue } from '../run/microtask.ts'
import type { Run } from '../run/record.ts'

/**
 * Keeps rejections of plugins that nobody handles from ending the process. Whether anybody handles one is Node's to say, as
 * it is for everybody; the promises themselves are left as they are.
 */
export interface Rejections {
  /**
   * A promise is the run's.
   *
   * @param quiet it was handed to somebody who may wait for it: its rejection is nobody's news
   */
  claim(run: Run, promise: object, quiet: boolean): void
  /** A promise of the run's, which one is not known, is about to reject for this reason. */
  expect(run: Run, reason: unknown): void
  /** The stack was used up: promises may reject in this turn of which Node cannot tell whether they are handled. */
  exhaust(): void
  /** From now on promises may reject of which only the error's own stack tells that they are a plugin's. */
  suspect(): void
  /** Ends a run in good order: rejections that nobody has handled by now are reported. */
  finish(run: Run): void
}

/** Who answers for a promise's rejection. */
interface Claim {
  rejected(promise: object, reason: unknown): void
  /** It was handled after all. */
  handled(promise: object): void
}

/** What is known of rejections in a process: one for all instances of it, since Node tells them to the process. */
interface ProcessRejections {
  readonly claims: WeakMap<object, Claim>
  /** Reasons that promises reject for in this turn of the event loop, of which no more is known. */
  readonly reasons: Map<unknown, Claim>
  /** Whether the stack was used up in this turn. */
  isExhausted: boolean
  /** Whether errors are asked for their stacks. That leaves traces in how Node shows those that end the process. */
  isSuspicious: boolean
  /** Whether Node ends the process, or warns, before it asks anybody. */
  readonly isHasty: boolean
}

const NOBODY: Claim = Object.freeze({ rejected() {}, handled() {} })
const KEY = Symbol.for('dynacode.rejections')
/** What code of plugins is called in stack traces. */
const CHUNK = 'dynacode:plugin:'

// Replaced or deleted later, by plugins or the app, these are still what they were.
const { setImmediate } = globalThis
const { apply, get, getPrototypeOf } = Reflect
const { then } = Promise.prototype
const { isPromise } = types

/**
 * Makes the watch over the promises of one instance's plugins.
 *
 * @param report called with rejections that nobody handles
 */
export function watchRejections(report: (run: Run, error: unknown) => void): Rejections {
  const known = watchProcess()
  const claims = new WeakMap<Run, Claim>()

  function claimOf(run: Run): Claim {
    let claim = claims.get(run)
    if (claim === undefined) {
      claim = {
        rejected(promise, reason) {
          if (reason === EXIT) return
          if (run.finished) return report(run, reason)
          run.rejections ??= new Map()
          run.rejections.set(promise, reason)
        },
        handled: (promise) => run.rejections?.delete(promise),
      }
      claims.set(run, claim)
    }
    return claim
  }

  return Object.freeze({
    claim(run, promise, quiet) {
      run.is_reusable = false
      if (known.claims.get(promise) === NOBODY) return
      known.claims.set(promise, quiet ? NOBODY : claimOf(run))
      if (known.isHasty) apply(then, promise, [undefined, () => undefined])
    },
    expect(run, reason) {
      run.is_reusable = false
      if (known.reasons.size === 0) setImmediate(() => known.reasons.clear())
      known.reasons.set(reason, claimOf(run))
    },
    exhaust() {
      if (known.isExhausted) return
      known.isExhausted = true
      queue(() =>
        setImmediate(() => {
          known.isExhausted = false
        }),
      )
    },
    suspect() {
      known.isSuspicious = true
    },
    finish(run) {
      run.finished = true
      if (run.rejections === null) return
      // What the run did last may have handled some.
      setImmediate(() => {
        const rejections = [...(run.rejections?.values() ?? [])]
        run.rejections = null
        for (const reason of rejections) report(run, reason)
      })
    },
  } satisfies Rejections)
}

/**
 * Has Node ask here first who answers for a rejection that nobody handles; all others are the process's as they were. With
 * a listener they would not be: one of `unhandledRejection` takes the place of what Node does by default, whatever
 * `--unhandled-rejections` says, and counts for `listenerCount`; and handlers on the promises themselves change what
 * plugins and libraries see of them.
 */
function watchProcess(): ProcessRejections {
  const holder = process as unknown as { [KEY]?: ProcessRejections }
  const known = holder[KEY]
  if (known !== undefined) return known
  const claims = new WeakMap<object, Claim>()
  const reasons = new Map<unknown, Claim>()
  const own = Object.getOwnPropertyDescriptor(process, 'emit')?.value
  const rejected = (promise: object, reason: unknown) => {
    const claim = claims.get(promise) ?? reasons.get(reason) ?? (isOfPlugin(reason, created) ? NOBODY : undefined)
    claim?.rejected(promise, reason)
    if (claim !== undefined) claims.set(promise, claim)
    return claim !== undefined
  }
  const emit = function (this: unknown, name: unknown, ...given: unknown[]) {
    if (name === 'unhandledRejection' && rejected(given[1] as object, given[0])) return true
    if (name === 'rejectionHandled') {
      const claim = claims.get(given[0] as object)
      claim?.handled(given[0] as object)
      if (claim !== undefined) return true
    }
    if (name === 'uncaughtException' && given[1] === 'unhandledRejection' && reasons.has(given[0])) return true
    return apply(own ?? get(getPrototypeOf(process) as object, 'emit'), this, [name, ...given])
  }
  Object.defineProperty(process, 'emit', { value: emit, configurable: true, writable: true })
  const mode = /--unhandled-rejections[= ](?:strict|warn)\b(?!-)/
  // biome-ignore lint/style/noProcessEnv: Node takes its own options from there, and tells nobody which it has taken
  const isHasty = mode.test([...process.execArgv, process.env.NODE_OPTIONS].join(' '))
  const created: ProcessRejections = { claims, reasons, isExhausted: false, isSuspicious: false, isHasty }
  Object.defineProperty(process, KEY, { value: created })
  return created
}

/** Where the stack was used up, nobody may have been told whose a rejection is; an error's own stack tells. */
function isOfPlugin(reason: unknown, { isExhausted, isSuspicious }: ProcessRejections): boolean {
  try {
    if (!(reason instanceof Error)) return isExhausted
    const isLikely =
      isExhausted || isSuspicious || (reason instanceof RangeError && reason.message.includes('call stack'))
    return isLikely && String(reason.stack).includes(CHUNK)
  } catch {
    return false
  }
}

/** The promise that a value is, or, of a pair with what settles it, holds. */
export function promiseOf(value: object, isPair: boolean): object | undefined {
  const promise = isPair ? (value as { promise?: unknown }).promise : value
  return isPromise(promise) ? (promise as object) : undefined
}
