import { setTimeout as pause } from 'node:timers/promises'
import { type Check, createBench, type Limits, type SourceFixture } from './bench.ts'
import { countResources, describeMore, useAndClose } from './close-case.ts'
import { FETCH_CASES } from './fetch-cases.ts'
import { WATCH_CASES } from './watch-cases.ts'

export type { SourceFixture } from './bench.ts'
export type { Given, GivenDocument, GivenPlugin } from './given.ts'
export type { Time } from './manual-clock.ts'
export { type PluginApp, type PluginAppOptions, plugin_app } from './plugin-app.ts'
export type { RecordedEvent } from './recorder.ts'
export { stream_body, type Upstream } from './upstream.ts'

/** Creates a source, and its backend, for one case. */
export type SourceSetup = () => SourceFixture | Promise<SourceFixture>

/** Options of `checkSource`. */
export interface CheckOptions {
  /**
   * How long to wait at most for something that must happen, in milliseconds.
   *
   * @default 5000
   */
  readonly patience_ms?: number
  /**
   * How long to wait for something that must not happen, in milliseconds.
   *
   * @default 200
   */
  readonly quiet_ms?: number
  /**
   * Size of the large document, in bytes.
   *
   * @default 3145728
   */
  readonly big_bytes?: number
}

/** What `run` uses of a test runner's context. Those of Node and Vitest can skip a test. */
export interface TestContext {
  skip?(reason?: string): unknown
}

/** A test case for a source. */
export interface SourceCase {
  readonly name: string
  /**
   * Creates a source and tests it. Rejects with an AssertionError that says what is wrong. If the case does not apply, it calls
   * the context's `skip` with the reason. Run one case at a time.
   */
  run(context?: TestContext): Promise<void>
}

/**
 * Returns test cases for everything that dynacode expects of a source. They work with any test runner.
 *
 * @example
 * for (const { name, run } of checkSource(setup)) test(name, run)
 */
export function checkSource(setup: SourceSetup, options: CheckOptions = {}): readonly SourceCase[] {
  const { patience_ms = 5000, quiet_ms = 200, big_bytes = 3 * 1024 * 1024 } = options
  const limits = { patience_ms, quiet_ms, big_bytes }
  const checks = Object.entries({ ...FETCH_CASES, ...WATCH_CASES })
  const cases = checks.map(([name, check]) => ({ name, look: () => runCheck(setup, check, limits) }))
  const closes = { name: 'close: leaves nothing behind', look: () => checkClose(setup, limits) }
  return Object.freeze([...cases, closes].map(({ name, look }) => Object.freeze({ name, run: makeRun(look) })))
}

/** Its parameter does not count: some runners take a test with one for one that calls back. */
function makeRun(look: () => Promise<string | undefined>): SourceCase['run'] {
  return async (...[context]) => {
    const reason = await look()
    if (reason !== undefined) context?.skip?.(reason)
  }
}

async function runCheck(setup: SourceSetup, check: Check, limits: Limits): Promise<string | undefined> {
  const fixture = await setup()
  try {
    return await check(createBench(fixture, limits))
  } finally {
    // How a source closes is a case of its own; here it must not stand in the way of what went wrong before.
    const closing = Promise.resolve(fixture.source).then((source) => source.close?.())
    await Promise.race([closing.catch(() => undefined), pause(limits.patience_ms, undefined, { ref: false })])
    await fixture.close?.()
  }
}

async function checkClose(setup: SourceSetup, limits: Limits): Promise<undefined> {
  await pause(1)
  const before = countResources()
  const fixture = await setup()
  const bench = createBench(fixture, limits)
  try {
    await useAndClose(bench)
  } finally {
    await fixture.close?.()
  }
  const left = () => describeMore(before)
  const message = () => `expected nothing to stay open after close() (still open: ${left()})`
  await bench.eventually(() => left() === undefined, message)
  return undefined
}
