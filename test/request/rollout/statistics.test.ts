import { describe, expect, test } from 'vitest'
import { compareGroups } from '../../../lib/request/rollout/groups.ts'
import { holdLimit } from '../../../lib/request/rollout/limit.ts'
import { FALSE_STOPS } from '../../../lib/request/rollout/watch.ts'
import { createRandom, type Random } from '../../chaos/random.ts'
import { tries } from '../../fixtures/tries.ts'

const ROLLOUTS = tries(1000).numRuns
const RUNS = 2000
/** Of the watch's own rules: each of four conditions has this share of the probability to be wrong. */
const ALPHA = FALSE_STOPS / 4

/** After how many runs one rollout stops; undefined where it does not. */
function simulate(limit: number, rateAt: (run: number) => number, { next }: Random, runs = RUNS, turns_every = 500) {
  const held = holdLimit(limit, false, ALPHA)
  for (let run = 1; run <= runs; run += 1) {
    if (next() >= rateAt(run)) held.pass()
    else if (held.observe(1)) return run
    if (run % turns_every === 0) held.turn()
  }
  return undefined
}

/** The same against a control group: `percent` of the requests are in the rollout. */
function simulateGroups(
  above: number,
  percent: number,
  ratesAt: (request: number) => readonly [inside: number, outside: number],
  { next }: Random,
  requests: number,
) {
  const held = holdLimit(above, true, ALPHA)
  const groups = compareGroups(held)
  let inside = 0
  for (let request = 1; request <= requests; request += 1) {
    const is_control = next() * 100 >= percent
    if (!is_control) inside += 1
    const [of_inside, of_outside] = ratesAt(request)
    if (groups.add(is_control, next() < (is_control ? of_outside : of_inside))) return inside
    if (request % 5000 === 0) held.turn()
  }
  return undefined
}

const quantile = (values: readonly number[], share: number) =>
  values.toSorted((a, b) => a - b)[Math.ceil(values.length * share) - 1] as number

describe('a rollout within its limits', () => {
  test.each([
    ['far below', 0.05, () => 0.005],
    ['at half of it', 0.02, () => 0.01],
    ['just below it', 0.05, () => 0.0499],
    ['just below a low one', 0.01, () => 0.00999],
    ['just below a high one', 0.5, () => 0.499],
    ['below it at all times, in waves', 0.05, (run: number) => (run % 200 < 100 ? 0 : 0.0499)],
  ])('is stopped less than once in a thousand: %s (%d)', (_, limit, rateAt) => {
    const random = createRandom(limit * 1000)
    let stopped = 0
    for (let rollout = 0; rollout < ROLLOUTS; rollout += 1) {
      if (simulate(limit, rateAt, random) !== undefined) stopped += 1
    }
    expect(stopped).toBeLessThanOrEqual(ROLLOUTS / 1000)
  })

  const ill = (request: number) => (request % 4000 < 400 ? 0.8 : 0.001)
  test.each([
    ['as bad as the control group', 10, 0.02, () => [0.02, 0.02] as const],
    ['just below the limit above it', 10, 0.02, () => [0.0299, 0.01] as const],
    ['no worse, and none worse is allowed', 50, 0, () => [0.01, 0.01] as const],
    ['in an outage of all of the app', 10, 0.02, (request: number) => [ill(request), ill(request)] as const],
  ])('is stopped less than once in a thousand against a control group: %s', (_, percent, above, ratesAt) => {
    const random = createRandom(percent + above)
    const rollouts = ROLLOUTS
    let stopped = 0
    for (let rollout = 0; rollout < rollouts; rollout += 1) {
      if (simulateGroups(above, percent, ratesAt, random, 6000) !== undefined) stopped += 1
    }
    expect(stopped).toBeLessThanOrEqual(rollouts / 1000)
  })
})

describe('a bad rollout', () => {
  const collect = (one: (random: Random) => number | undefined, count = 200) => {
    const random = createRandom(7)
    return Array.from({ length: count }, () => one(random) ?? Number.POSITIVE_INFINITY)
  }

  test.each([0.01, 0.05, 0.1, 0.3])('that always fails is stopped within 20 runs: limit %d', (limit) => {
    expect(simulate(limit, () => 1, createRandom(1))).toBeLessThanOrEqual(20)
  })

  test('that always answers 5xx is stopped within 30 runs, compared with a control group', () => {
    const runs = collect((random) => simulateGroups(0.02, 1, () => [1, 0.001], random, 100_000))
    expect(quantile(runs, 0.99)).toBeLessThanOrEqual(30)
  })

  test.each([
    [0.5, 60],
    [0.1, 500],
  ])('of which this share is too slow is stopped within so many runs: %d', (share, runs) => {
    const found = collect((random) => simulate(0.01, () => share, random))
    expect(quantile(found, 0.99)).toBeLessThanOrEqual(runs)
  })

  test.each([
    ['of twice the limit', 0.05, 0.1, 2000],
    ['of four times the limit', 0.05, 0.2, 300],
    ['of three times a low limit', 0.02, 0.06, 2000],
  ])('%s is stopped within so many runs, 99 times in a hundred', (_, limit, rate, runs) => {
    const found = collect((random) => simulate(limit, () => rate, random, 20_000))
    expect(quantile(found, 0.99)).toBeLessThanOrEqual(runs)
  })

  test.each([
    [0.02, 0.2, 300],
    [0.02, 0.1, 1500],
    [0, 0.05, 2000],
  ])('in a tenth of the traffic, where one in a hundred fails of the others: %d above it, %d', (above, rate, runs) => {
    const found = collect((random) => simulateGroups(above, 10, () => [rate, 0.01], random, 100_000), 100)
    expect(quantile(found, 0.99)).toBeLessThanOrEqual(runs)
  })

  test('that was healthy for long is stopped within 20 runs all the same: the window forgets how it was', () => {
    const found = collect((random) => simulate(0.05, (run) => (run < 50_000 ? 0.001 : 1), random, 60_000), 50)
    expect(quantile(found, 0.99)).toBeLessThanOrEqual(50_020)
  })
})

test('a test is as often wrong as it may be, and not much less: its bets are well placed', () => {
  const random = createRandom(5)
  let stopped = 0
  for (let rollout = 0; rollout < 1000; rollout += 1) {
    const held = holdLimit(0.2, false, 0.2)
    for (let run = 0; run < 1000; run += 1) {
      if (random.next() >= 0.2) held.pass()
      else if (held.observe(1)) {
        stopped += 1
        break
      }
    }
  }
  expect(stopped).toBeLessThanOrEqual(200)
  expect(stopped).toBeGreaterThan(20)
})
