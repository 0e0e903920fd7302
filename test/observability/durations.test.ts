import { describe, expect, test } from 'vitest'
import { addDuration, BOUNDS, createDurations, estimateQuantile } from '../../lib/observability/durations.ts'

function durationsOf(...seconds: number[]) {
  const durations = createDurations()
  for (const each of seconds) addDuration(durations, each)
  return durations
}

describe('durations', () => {
  test('are counted in the bucket whose bound they do not exceed, beyond all bounds in the last', () => {
    const durations = durationsOf(0, ...BOUNDS, 5.1, 60)
    expect([...durations.buckets]).toEqual([2, ...BOUNDS.slice(1).map(() => 1), 2])
    expect(durations.count).toBe(BOUNDS.length + 3)
    expect(durations.seconds).toBeCloseTo(BOUNDS.reduce((sum, bound) => sum + bound, 0) + 65.1)
  })

  test('have bounds that ascend, from 10 µs to 5 s', () => {
    expect([...BOUNDS].sort((a, b) => a - b)).toEqual(BOUNDS)
    expect([BOUNDS[0], BOUNDS.at(-1)]).toEqual([0.00001, 5])
  })
})

describe('an estimated quantile', () => {
  test('lies in the bucket where that share of the durations is reached', () => {
    const durations = durationsOf(...Array(98).fill(0.00005), 0.02, 0.02)
    expect(estimateQuantile(0.5, durations)).toBeCloseTo(0.000025 + 0.000075 * (50 / 98))
    expect(estimateQuantile(0.98, durations)).toBeCloseTo(0.0001)
    expect(estimateQuantile(0.99, durations)).toBeCloseTo(0.0175)
    expect(estimateQuantile(1, durations)).toBeCloseTo(0.025)
  })

  test('takes several durations together', () => {
    expect(estimateQuantile(0.5, durationsOf(0.7, 0.7), durationsOf(0.001), createDurations())).toBeCloseTo(0.4375)
  })

  test('is the highest bound beyond all bounds, and nothing where there is nothing', () => {
    expect(estimateQuantile(0.5, durationsOf(60))).toBe(5)
    expect(estimateQuantile(0.5, createDurations())).toBeUndefined()
    expect(estimateQuantile(0.5)).toBeUndefined()
  })
})
