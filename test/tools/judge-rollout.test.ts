import { describe, expect, test } from 'vitest'
import { OptionError } from '../../lib/index.ts'
import { type AddedCounts, judge_rollout, type RolloutEvidence, type StopWhen } from '../../lib/tools/index.ts'
import { createRandom, type Random } from '../chaos/random.ts'
import { tries } from '../fixtures/tries.ts'

const NONE = { responses: 0, status_5xx: 0, slow_responses: 0 }
const counts = (inside: Partial<AddedCounts['inside']> = {}, control: Partial<AddedCounts['control']> = {}) => ({
  inside: { runs: 0, errors: 0, exits: 0, slow_runs: 0, ...NONE, ...inside },
  control: { ...NONE, ...control },
})

/** How many of these happen, each with this probability. */
function draw({ next }: Random, times: number, rate: number): number {
  let drawn = 0
  for (let at = 0; at < times; at += 1) if (next() < rate) drawn += 1
  return drawn
}

/** After how many reports a rollout is over a limit; undefined where it is not. */
function judgeReports(stop_when: StopWhen, reports: number, report: (at: number) => AddedCounts) {
  let evidence: RolloutEvidence | undefined
  for (let at = 0; at < reports; at += 1) {
    const judged = judge_rollout(stop_when, evidence, report(at))
    if (judged.exceeded !== null) return { reports: at + 1, ...judged }
    // As it is kept.
    evidence = JSON.parse(JSON.stringify(judged.evidence))
  }
  return undefined
}

describe('judge_rollout', () => {
  test.each([
    ['error_rate', 0.05, { runs: 100, errors: 60 }],
    ['exit_rate', 0.5, { runs: 100, exits: 100 }],
    ['status_5xx_rate', 0.05, { runs: 100, responses: 100, status_5xx: 60 }],
    ['p99_ms', 20, { runs: 100, slow_runs: 60 }],
  ] as const)('finds %s exceeded by what many processes have each seen a little of', (condition, limit, inside) => {
    const one = Object.fromEntries(Object.entries(inside).map(([name, value]) => [name, value / 20]))
    const found = judgeReports({ [condition]: limit }, 20, () => counts(one))
    expect(found).toMatchObject({ exceeded: { condition, limit, above_control: false } })
    expect(found?.evidence.runs).toBeGreaterThanOrEqual(20)
  })

  test('waits for min_runs of all processes together', () => {
    const found = judgeReports({ error_rate: 0.05, min_runs: 35 }, 20, () => counts({ runs: 2, errors: 2 }))
    expect(found?.evidence.runs).toBe(36)
  })

  test('judges by the sums alone, however they are split', () => {
    const whole = judge_rollout({ error_rate: 0.1 }, undefined, counts({ runs: 40, errors: 10 }))
    const half = judge_rollout({ error_rate: 0.1 }, undefined, counts({ runs: 20, errors: 10 }))
    expect(judge_rollout({ error_rate: 0.1 }, half.evidence, counts({ runs: 20 })).evidence).toEqual(whole.evidence)
  })

  test('finds what is worse than in the control group, and takes an outage of both for none', () => {
    const rule: StopWhen = { status_5xx_rate: { above_control: 0.02 } }
    const bad = { runs: 50, responses: 50, status_5xx: 50 }
    const found = judgeReports(rule, 100, () => counts(bad, { responses: 450, status_5xx: 5 }))
    expect(found?.reports).toBeLessThanOrEqual(3)
    expect(found?.exceeded).toEqual({ condition: 'status_5xx_rate', limit: 0.02, above_control: true })
    expect(judgeReports(rule, 100, () => counts(bad, { responses: 450, status_5xx: 450 }))).toBeUndefined()
  })

  test('cannot compare with nobody', () => {
    const bad = counts({ runs: 50, responses: 50, status_5xx: 50 })
    expect(judgeReports({ status_5xx_rate: { above_control: 0 } }, 100, () => bad)).toBeUndefined()
  })

  test('stops hardly any rollout that is within its limits', () => {
    const random = createRandom(24)
    let stops = 0
    const { numRuns = 50 } = tries(50)
    for (let rollout = 0; rollout < numRuns; rollout += 1) {
      const found = judgeReports({ error_rate: 0.05, status_5xx_rate: { above_control: 0.01 } }, 100, () => {
        const outage = random.next() < 0.1 ? 0.7 : 0.01
        return counts(
          { runs: 30, errors: draw(random, 30, 0.045), responses: 30, status_5xx: draw(random, 30, outage) },
          { responses: 90, status_5xx: draw(random, 90, outage), slow_responses: 0 },
        )
      })
      if (found !== undefined) stops += 1
    }
    expect(stops).toBeLessThanOrEqual(Math.ceil(numRuns / 1000))
  })

  const chance = createRandom(7)
  /** Reports of a fleet: of each group how many, and how many of them in a hundred are bad. */
  const fleetOf = (of: () => readonly [inside: number, bad: number, outside: number, bad: number]) => () => {
    const [inside, inside_bad, outside, outside_bad] = of()
    return counts(
      { runs: inside, responses: inside, status_5xx: draw(chance, inside, inside_bad) },
      { responses: outside, status_5xx: draw(chance, outside, outside_bad) },
    )
  }

  test.each([
    ['always fails, in processes that have seen 2 of it each', [2, 1, 18, 0.01], 12],
    ['always fails, in processes that have seen many of it', [50, 1, 450, 0.01], 3],
    ['fails half of the time', [10, 0.5, 90, 0.01], 10],
    ['fails for one in five', [10, 0.2, 90, 0.01], 40],
    ['fails for one in ten', [10, 0.1, 90, 0.01], 120],
  ] as const)('finds what %s above the control group within so many reports', (_, of, reports) => {
    const rule: StopWhen = { status_5xx_rate: { above_control: 0.02 } }
    for (let rollout = 0; rollout < 20; rollout += 1) {
      expect(
        judgeReports(
          rule,
          500,
          fleetOf(() => of),
        )?.reports,
      ).toBeLessThanOrEqual(reports)
    }
  })

  test('is not convinced by a single report, whatever that says', () => {
    const rule: StopWhen = { status_5xx_rate: { above_control: 0 } }
    const lies = counts({ runs: 4000, responses: 4000, status_5xx: 4000 }, { responses: 900 })
    expect(judgeReports(rule, 2, () => lies)).toBeUndefined()
    const huge = counts({ runs: 1e12, responses: 1e12, status_5xx: 1e12 }, { responses: 1e12 })
    expect(judgeReports(rule, 10, () => huge)).toBeUndefined()
  })

  test.each([
    ['both groups alike', () => [3, 0.3, 27, 0.3] as const],
    ['groups of the same size', () => [20, 0.5, 20, 0.5] as const],
    [
      'processes that differ',
      () => {
        const bad = chance.next() < 0.3 ? 0.5 : 0.01
        return [chance.between(1, 30), bad, chance.between(1, 300), bad] as const
      },
    ],
  ])('has evidence of 20 to 1 in at most one of 20 healthy rollouts: %s', (_, of) => {
    const report = fleetOf(of)
    const rollouts = tries(200).numRuns ?? 200
    let convinced = 0
    for (let rollout = 0; rollout < rollouts; rollout += 1) {
      let evidence: RolloutEvidence | undefined
      let most = 0
      for (let at = 0; at < 60; at += 1) {
        evidence = judge_rollout({ status_5xx_rate: { above_control: 0 } }, evidence, report()).evidence
        const capitals = evidence.capitals.status_5xx_rate as number[]
        most = Math.max(most, capitals.reduce((sum, each) => sum + Math.exp(each), 0) / capitals.length)
      }
      if (most >= 20) convinced += 1
    }
    expect(convinced).toBeLessThanOrEqual(rollouts / 20)
  })

  test.each([
    ['a condition that is not known', { eror_rate: 0.1 } as StopWhen, undefined, counts()],
    ['evidence that it did not make', { error_rate: 0.1 }, { runs: -1 } as never, counts()],
    ['counts below 0', { error_rate: 0.1 }, undefined, counts({ runs: -1 })],
  ])('refuses %s', (_, stop_when, evidence, added) => {
    expect(() => judge_rollout(stop_when, evidence, added)).toThrow(OptionError)
  })
})
