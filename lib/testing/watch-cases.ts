import assert from 'node:assert/strict'
import { setTimeout as pause } from 'node:timers/promises'
import type { Bench, Check } from './bench.ts'

const NO_WATCH = 'the source has no watch()'

/** What every source's `watch` must do, by its name. */
export const WATCH_CASES: Readonly<Record<string, Check>> = Object.freeze({
  'watch: calls nothing before it returns': async (bench) => {
    if (bench.source.watch === undefined) return NO_WATCH
    await bench.publish('one')
    let returned = false
    let early = false
    const stop = bench.source.watch(() => {
      early ||= !returned
    })
    returned = true
    assert.equal(typeof stop, 'function', `watch(): expected a function that ends it, got ${typeof stop}`)
    stop()
    assert.ok(!early, 'watch() called changed() before it returned')
    return undefined
  },

  'watch: misses no document that is published as soon as it has returned': async (bench) => {
    const watch = await startWatch(bench, 0)
    if (watch === undefined) return NO_WATCH
    await watch.sees(await bench.publish('two'), 'a document that was published at once')
    watch.stop()
    return undefined
  },

  'watch: reports one document after the other': async (bench) => {
    const watch = await startWatch(bench)
    if (watch === undefined) return NO_WATCH
    for (const text of ['two', 'three', 'four']) {
      await watch.sees(await bench.publish(text), `the document ${JSON.stringify(text)}`)
    }
    watch.stop()
    return undefined
  },

  'watch: calls nothing after it was ended': async (bench) => {
    const watch = await startWatch(bench)
    if (watch === undefined) return NO_WATCH
    await watch.sees(await bench.publish('two'), 'the document before it was ended')
    watch.stop()
    const calls = watch.calls()
    await bench.publish('three')
    await pause(bench.limits.quiet_ms)
    assert.equal(watch.calls(), calls, 'changed() was called after the watch was ended')
    return undefined
  },

  'watch: can be ended twice': async (bench) => {
    const watch = await startWatch(bench)
    if (watch === undefined) return NO_WATCH
    watch.stop()
    assert.doesNotThrow(watch.stop, 'ending the watch a second time threw')
    return undefined
  },

  'watch: of one instance ends without that of another': async (bench) => {
    const { source, limits, publish, eventually } = bench
    if (source.watch === undefined) return NO_WATCH
    await publish('one')
    let calls = 0
    const stop_other = source.watch(() => undefined)
    const stop = source.watch(() => {
      calls += 1
    })
    await pause(limits.quiet_ms)
    stop_other()
    await pause(limits.quiet_ms)
    const before = calls
    await publish('two')
    await eventually(
      () => calls > before,
      () => 'expected changed() of a second watch to be called when the first one had ended',
    )
    stop()
    return undefined
  },

  'watch: reports a document that is published after a broken connection is repaired': async (bench) => {
    const { fixture, publish } = bench
    if (fixture.break === undefined || fixture.mend === undefined) return 'the fixture has no break() and mend()'
    const watch = await startWatch(bench)
    if (watch === undefined) return NO_WATCH
    await watch.sees(await publish('two'), 'the document before it was broken')
    await fixture.break()
    await pause(bench.limits.quiet_ms)
    await fixture.mend()
    await watch.sees(await publish('three'), 'the document after it was mended')
    watch.stop()
    return undefined
  },
})

/**
 * Watches as dynacode does: each call leads to a fetch, and a fetch that fails to another.
 *
 * @param ahead_ms how long the watch has to take hold
 */
async function startWatch(bench: Bench, ahead_ms = bench.limits.quiet_ms) {
  const { source, publish, fetch, eventually } = bench
  if (source.watch === undefined) return undefined
  await publish('one')
  let { tag: last } = (await fetch()) as { tag?: string | undefined }
  let calls = 0
  let answered = 0
  const stop = source.watch(() => {
    calls += 1
  })
  if (ahead_ms > 0) await pause(ahead_ms)
  return Object.freeze({
    stop,
    calls: () => calls,
    async sees(document: Uint8Array, what: string): Promise<void> {
      const before = calls
      const follows = async () => {
        if (calls === answered) return false
        const asked = calls
        try {
          const fetched = await fetch(last)
          answered = asked
          if (fetched.unchanged === true) return false
          last = fetched.tag
          return Buffer.compare(fetched.bytes, document) === 0
        } catch {
          return false
        }
      }
      await eventually(follows, () => `expected changed() to lead to ${what}; it was called ${calls - before} times`)
    },
  })
}
