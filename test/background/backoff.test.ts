import fc from 'fast-check'
import { describe, expect, test, vi } from 'vitest'
import { createBackoff } from '../../lib/background/backoff.ts'
import type { Refresh } from '../../lib/background/refresh.ts'
import { DynacodeError } from '../../lib/errors.ts'
import { StatusError } from '../../lib/sources/http/status-error.ts'
import { tries } from '../fixtures/tries.ts'

const INTERVAL = 10_000
const HOUR = 3_600_000

const failed: Refresh = { updated: false, reason: 'fetch', error: new DynacodeError('ERR_DYNACODE_FETCH', 'down') }
const unchanged: Refresh = { updated: false, reason: 'unchanged', error: undefined }
const asked = (retry_after_ms: number | undefined): Refresh => ({
  updated: false,
  reason: 'fetch',
  error: new StatusError(503, 'http://api/', retry_after_ms),
})

/** The waits after these cycles, when all random numbers are `random`. */
function waits(random: number, cycles: readonly Refresh[], max_ms = Number.POSITIVE_INFINITY) {
  vi.spyOn(Math, 'random').mockReturnValue(random)
  const backoff = createBackoff(INTERVAL, max_ms)
  return cycles.map(backoff)
}

describe('after a failed fetch the wait', () => {
  test('is random up to twice the interval, and up to twice as much with each further failure', () => {
    expect(waits(1, Array(5).fill(failed))).toEqual([2, 4, 8, 16, 32].map((times) => times * INTERVAL))
    expect(waits(0.5, Array(3).fill(failed))).toEqual([1, 2, 4].map((times) => times * INTERVAL + 50))
  })

  test('is never longer than its cap, after however many failures', () => {
    expect(Math.max(...(waits(1, Array(2000).fill(failed), 25_000) as number[]))).toBe(25_000)
    expect(waits(1, Array(2000).fill(failed)).at(-1)).toBe(INTERVAL * 2 ** 30)
  })

  test('is never less than a tenth of a second, unless the cap is', () => {
    expect(waits(0, [failed, failed])).toEqual([100, 100])
    expect(waits(0, [failed, failed], 5)).toEqual([2.5, 2.5])
  })

  test('is random above that, too: those who draw little do not come back together', () => {
    expect(waits(0.001, [failed])).not.toEqual(waits(0.002, [failed]))
  })

  test('begins small again once a fetch went well', () => {
    expect(waits(1, [failed, failed, unchanged, failed])).toEqual([
      2 * INTERVAL,
      4 * INTERVAL,
      1.5 * INTERVAL,
      2 * INTERVAL,
    ])
  })
})

describe('after any other cycle the wait', () => {
  test.each(['unchanged', 'invalid', 'held', 'untrusted'] as const)('is as usual: %s', (reason) => {
    const error = reason === 'unchanged' ? undefined : new Error('refused')
    expect(waits(1, [{ updated: false, reason, error }])).toEqual([undefined])
  })

  test('that ends an outage is random once, so that those who waited for it do not stay together', () => {
    expect(waits(0.4, [failed, unchanged, unchanged])).toEqual([0.8 * INTERVAL + 60, 0.4 * 1.5 * INTERVAL, undefined])
  })
})

describe('where the API asks to be left alone', () => {
  test('it is, and everybody who was told so comes back at another time', () => {
    expect(waits(0, [asked(60_000)])).toEqual([60_000])
    expect(waits(0.5, [asked(60_000)])).toEqual([60_000 + INTERVAL / 2])
  })

  test('it is beyond the cap of the backoff, but for an hour at most', () => {
    expect(waits(0, [asked(HOUR)], 1000)).toEqual([HOUR])
    expect(waits(0, [asked(Number.POSITIVE_INFINITY)])).toEqual([HOUR])
    expect(waits(0, [asked(HOUR + 1)])).toEqual([HOUR])
  })

  test('for no time at all, it is left alone all the same, as after any failure', () => {
    expect(waits(0, [asked(0)])).toEqual([100])
    expect(waits(1, [asked(0), asked(0), asked(0)])).toEqual(waits(1, [failed, failed, failed]))
  })
})

test('no wait is none, negative or not a number, whatever happens', () => {
  const cycle = fc.oneof(fc.constantFrom(failed, unchanged), fc.double({ min: 0, noNaN: true }).map(asked))
  fc.assert(
    fc.property(fc.array(cycle), fc.double({ min: 1, max: 2 ** 31, noNaN: true }), (cycles, interval_ms) => {
      const backoff = createBackoff(interval_ms, interval_ms * 2)
      for (const wait_ms of cycles.map(backoff)) {
        if (wait_ms !== undefined && !(wait_ms >= 0)) return false
      }
      return true
    }),
    tries(100),
  )
})
