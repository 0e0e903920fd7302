import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { type PluginFields, startApp } from '../../fixtures/app.ts'

const START = Date.parse('2030-01-01T12:00:00Z')
const MINUTE_MS = 60_000

describe('the steps of a rollout', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['Date'], now: START - MINUTE_MS })
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  async function startSteps(rollout: object, code = 'ctx.set("x-new", "yes")') {
    const plugin = {
      name: 'new',
      phase: 'header_filter',
      starts_at: new Date(START).toISOString(),
      rollout: { by: 'header:x-user', ...rollout },
      code,
    } as PluginFields
    const app = await startApp({ plugins: [plugin], options: { breaker_failures: 0 } })
    const countNew = async () => {
      let count = 0
      for (let user = 0; user < 100; user += 1) {
        const { headers } = await app.request.get('/').set('x-user', `u${user}`)
        if (headers['x-new'] === 'yes') count += 1
      }
      return count
    }
    const status = () => app.dyna.status().plugins[0]
    return { ...app, countNew, status }
  }

  const steps = [{ percent: 10, for: '10m' }, { percent: 50, for: '1h' }, { percent: 100 }]

  it('follow each other by the time, the same in every process, and only add users', async () => {
    const app = await startSteps({ steps })
    expect(app.status()).toMatchObject({ state: 'scheduled', rollout: { percent: 0 } })
    expect(await app.countNew()).toBe(0)
    const counts: number[] = []
    for (const minutes of [0, 9.9, 10, 69, 70, 10_000]) {
      vi.setSystemTime(START + minutes * MINUTE_MS)
      counts.push(await app.countNew())
    }
    const [first, , second, , last] = counts
    expect(counts).toEqual([first, first, second, second, last, last])
    expect(first).toBeGreaterThan(2)
    expect(first).toBeLessThan(25)
    expect(second).toBeGreaterThan(35)
    expect(second).toBeLessThan(65)
    expect(last).toBe(100)
    expect(app.status()).toMatchObject({ state: 'live', rollout: { percent: 100, stopped: null, inside: null } })
  })

  it('end for good when the rollout stops itself', async () => {
    const app = await startSteps({ steps, stop_when: { error_rate: 0.05, min_runs: 5 } }, 'throw new Error("bad")')
    vi.setSystemTime(START)
    await app.countNew()
    expect(app.status()).toMatchObject({ state: 'stopped', rollout: { percent: 0, inside: { runs: 5 } } })
    vi.setSystemTime(START + 1000 * MINUTE_MS)
    await app.countNew()
    expect(app.status()).toMatchObject({ state: 'stopped', rollout: { percent: 0, inside: { runs: 5 } } })
  })

  it('keep the counts of the steps before: the rollout is watched as one', async () => {
    const app = await startSteps({ steps, stop_when: { error_rate: 0.05 } })
    vi.setSystemTime(START)
    const first = await app.countNew()
    vi.setSystemTime(START + 10 * MINUTE_MS)
    const second = await app.countNew()
    expect(app.status()?.rollout).toMatchObject({
      percent: 50,
      inside: { runs: first + second, requests: first + second },
      control: { requests: 200 - first - second },
    })
  })
})
