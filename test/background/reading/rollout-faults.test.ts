import { describe, expect, test } from 'vitest'
import { readDocument } from '../../../lib/background/reading/validator.ts'
import type { Domain, PluginSpec, RefusedPlugin } from '../../../lib/document.ts'
import { inspectDocument } from '../../../lib/tools/inspect-document.ts'

const STARTS = { starts_at: '2030-01-01T00:00:00Z' }
const TWO = { variants: [{ name: 'a', percent: 50, code: '' }], code: undefined }

const documentOf = (rollout: unknown, fields: object = {}) =>
  JSON.stringify({ domains: [{ name: '*', plugins: [{ name: 'p', phase: 'access', code: '', rollout, ...fields }] }] })

function read(rollout: unknown, fields: object = {}): PluginSpec | RefusedPlugin {
  const { plugins } = readDocument(documentOf(rollout, fields)).domains[0] as Domain
  return plugins[0] as PluginSpec | RefusedPlugin
}

const stop = (stop_when: unknown) => ({ percent: 10, stop_when })

describe('a rollout that cannot be meant is refused, with its plugin alone', () => {
  test.each<[string, unknown, object, string]>([
    [
      'no condition',
      stop({ min_runs: 5 }),
      {},
      'stop_when: expected at least one of error_rate, exit_rate, status_5xx_rate, p99_ms',
    ],
    [
      'a misspelled condition',
      stop({ eror_rate: 0.1 }),
      {},
      'stop_when.eror_rate: unknown field. Did you mean `error_rate`?',
    ],
    [
      'a key after one that every request has',
      { percent: 10, by: ['cookie:sid', 'ip', 'query:user'] },
      {},
      'by[2]: expected nothing after "ip", which every request has, got "query:user"',
    ],
    ['a key twice', { percent: 10, by: ['query:a', 'ip', 'ip'] }, {}, 'by[2]: expected nothing after "ip"'],
    [
      'a key twice, of those that may be missing',
      { percent: 10, by: ['query:a', 'query:b', 'query:a'] },
      {},
      'by[2]: expected each key once, got "query:a" again',
    ],
    [
      'a plugin that fails closed',
      stop({ error_rate: 0.1 }),
      { on_failure: 'closed' },
      'stop_when: expected a plugin with "on_failure": "open"',
    ],
    ['an unknown condition', stop({ error_rate: 0.1, cpu: 1 }), {}, 'stop_when.cpu: unknown field'],
    ['a percentage for a share', stop({ error_rate: 5 }), {}, 'stop_when.error_rate: expected a number below 1'],
    ['a share that no run may pass', stop({ error_rate: 0 }), {}, 'stop_when.error_rate: expected a number above 0'],
    ['a share that no run can pass', stop({ exit_rate: 1 }), {}, 'stop_when.exit_rate: expected a number below 1'],
    ['a negative share', stop({ status_5xx_rate: -0.1 }), {}, 'stop_when.status_5xx_rate: expected a number above 0'],
    [
      'a text',
      stop({ status_5xx_rate: '5%' }),
      {},
      'stop_when.status_5xx_rate: expected a finite number or an object, got "5%"',
    ],
    ['no time at all', stop({ p99_ms: 0 }), {}, 'stop_when.p99_ms: expected a number above 0'],
    [
      'a misspelled group',
      stop({ status_5xx_rate: { above_contrl: 0.1 } }),
      {},
      'stop_when.status_5xx_rate.above_contrl: unknown field. Did you mean `above_control`?',
    ],
    [
      'more than all above the control group',
      stop({ status_5xx_rate: { above_control: 1.5 } }),
      {},
      'stop_when.status_5xx_rate.above_control: expected a number below 1',
    ],
    [
      'errors above a group that has none',
      stop({ error_rate: { above_control: 0 } }),
      {},
      'stop_when.error_rate.above_control: expected a number above 0',
    ],
    [
      'a time that no run takes',
      stop({ p99_ms: 5000 }),
      {},
      "stop_when.p99_ms: expected less than the plugin's timeout_ms (5000), which no run passes, got 5000",
    ],
    ['no runs', stop({ error_rate: 0.1, min_runs: 0 }), {}, 'stop_when.min_runs: expected a number of at least 1'],
    ['half a run', stop({ error_rate: 0.1, min_runs: 1.5 }), {}, 'stop_when.min_runs: expected an integer'],
    [
      'a window without its unit',
      stop({ error_rate: 0.1, window: '60' }),
      {},
      'stop_when.window: expected a length of time such as "30s"',
    ],
    [
      'a window of nothing',
      stop({ error_rate: 0.1, window: '10ms' }),
      {},
      'stop_when.window: expected a length of time from "1s" to "7d", got "10ms"',
    ],
    [
      'a window of a month',
      stop({ error_rate: 0.1, window: '30d' }),
      {},
      'stop_when.window: expected a length of time from "1s" to "7d"',
    ],
    [
      'nobody to compare with',
      { percent: 100, stop_when: { status_5xx_rate: { above_control: 0.1 } } },
      {},
      'stop_when.status_5xx_rate.above_control: expected a rollout of less than 100 percent',
    ],
    [
      'variants to compare with',
      { stop_when: { p99_ms: { above_control: 5 } } },
      TWO,
      'stop_when.p99_ms.above_control: expected a bound: variants have no control group',
    ],
    [
      'exits after the response',
      stop({ exit_rate: 0.1 }),
      { phase: 'log' },
      'stop_when.exit_rate: cannot be met: a plugin of the phase `log` runs after the response',
    ],
    [
      'a status after the response',
      stop({ status_5xx_rate: 0.1 }),
      { phase: 'log' },
      'stop_when.status_5xx_rate: cannot be met',
    ],
    ['a guard without a share', { stop_when: { error_rate: 0.1 } }, {}, 'percent: expected a number, got nothing'],
    ['no steps', { steps: [] }, STARTS, 'steps: expected an array of at least 1'],
    [
      'steps and a percentage',
      { percent: 1, steps: [{ percent: 2 }] },
      STARTS,
      'steps: expected either percent or steps, got both',
    ],
    [
      'steps of variants',
      { steps: [{ percent: 2 }] },
      { ...TWO, ...STARTS },
      'steps: expected the percentages in the variants alone, got steps',
    ],
    ['steps without a start', { steps: [{ percent: 1 }] }, {}, 'steps: expected a starts_at of the plugin'],
    [
      'steps that go down',
      { steps: [{ percent: 10, for: '1m' }, { percent: 5 }] },
      STARTS,
      'steps[1].percent: expected more than the 10 of the step before, got 5',
    ],
    [
      'steps that stand still',
      { steps: [{ percent: 10, for: '1m' }, { percent: 10 }] },
      STARTS,
      'steps[1].percent: expected more than the 10',
    ],
    [
      'a step without its length',
      { steps: [{ percent: 10 }, { percent: 20 }] },
      STARTS,
      'steps[0].for: expected a length of time such as "10m" for each step but the last, got nothing',
    ],
    [
      'a step of no length',
      { steps: [{ percent: 10, for: '0s' }, { percent: 20 }] },
      STARTS,
      'steps[0].for: expected a length of time',
    ],
    [
      'a step of another kind',
      { steps: [{ percent: 10, fro: '1m' }] },
      STARTS,
      'steps[0].fro: unknown field. Did you mean `for`?',
    ],
    [
      'a window longer than the steps',
      { steps: [{ percent: 1, for: '1m' }, { percent: 2 }], stop_when: { error_rate: 0.1, window: '2m' } },
      STARTS,
      'stop_when.window: expected at most the 60 s that the steps take, got "2m"',
    ],
  ])('%s', async (_, rollout, fields, message) => {
    const plugin = read(rollout, fields)
    expect('error' in plugin && plugin.error.message).toContain(`domains[0].plugins[0].rollout.${message}`)
    const { found } = await inspectDocument({ text: documentOf(rollout, fields) })
    expect(found.map(({ finding }) => finding.severity)).toContain('error')
  })
})

describe('a guarded rollout that is sound', () => {
  test('has 20 runs at least and a window of ten minutes, unless the document says otherwise', () => {
    expect(read(stop({ error_rate: 0.1, p99_ms: { above_control: 5 } }))).toMatchObject({
      scope: {
        stop_when: {
          rules: [
            { condition: 'error_rate', limit: 0.1, above_control: false },
            { condition: 'p99_ms', limit: 5, above_control: true },
          ],
          min_runs: 20,
          window_ms: 600_000,
        },
      },
    })
    const said = stop({ error_rate: 0.1, min_runs: 5, window: '1.5h' })
    expect(read(said)).toMatchObject({ scope: { stop_when: { min_runs: 5, window_ms: 5_400_000 } } })
  })

  test('has a window no longer than its steps', () => {
    const rollout = {
      steps: [
        { percent: 1, for: '1m' },
        { percent: 2, for: '30s' },
      ],
      stop_when: { error_rate: 0.1 },
    }
    expect(read(rollout, STARTS)).toMatchObject({ scope: { stop_when: { window_ms: 90_000 } } })
  })

  test('may come to 100 percent by steps: in the last one, there is nobody to compare with', () => {
    const steps = [{ percent: 1, for: '1m' }, { percent: 100 }]
    expect(read({ steps, stop_when: { status_5xx_rate: { above_control: 0 } } }, STARTS)).not.toHaveProperty('error')
  })

  test('has no window to measure where one step lasts for ever', () => {
    const rollout = { steps: [{ percent: 1 }], stop_when: { error_rate: 0.1, window: '1h' } }
    expect(read(rollout, STARTS)).toMatchObject({ scope: { stop_when: { window_ms: 3_600_000 } } })
  })

  test('guards a plugin of the phase log by what it can cause', () => {
    expect(read(stop({ error_rate: 0.1, p99_ms: 5 }), { phase: 'log' })).not.toHaveProperty('error')
  })
})
