import { setTimeout as sleep } from 'node:timers/promises'
import type { Worker } from 'node:worker_threads'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { BOUNDS_MS } from '../server/fleet/deltas.ts'
import { NEW_THREADS } from '../server/review/reviewer.ts'
import { beginSet } from './change-sets.ts'
import { IN_MEMORY } from './databases.ts'
import { type RunningStudio, runStudio } from './running-studio.ts'

const FLEET = 60
const PLUGINS = 25

describe('a fleet whose studio asks a thread what is live', () => {
  let running: RunningStudio
  const workers = new Set<Worker>()
  const held: (() => void)[] = []
  let is_busy = false

  /** Threads that can be kept busy: what they are asked then waits. */
  const threads = {
    begin() {
      const worker = NEW_THREADS.begin()
      workers.add(worker)
      const post = worker.postMessage.bind(worker)
      worker.postMessage = (message: unknown) => {
        if (is_busy) held.push(() => post(message))
        else post(message)
      }
      return worker
    },
    end(worker: Worker, is_idle: boolean) {
      workers.delete(worker)
      return NEW_THREADS.end(worker, is_idle)
    },
  }
  function release(): void {
    is_busy = false
    for (const post of held.splice(0)) post()
  }

  beforeAll(async () => {
    running = await runStudio({ database: IN_MEMORY, threads })
    const set = await beginSet(running.ada)
    await set.addDomain('a.example').expect(201)
    for (let at = 0; at < PLUGINS; at += 1) {
      const fields = {
        code: 'exit(403)',
        rollout: { percent: 10, stop_when: { error_rate: 0.9 } },
        'x-owner': `team ${at}`,
      }
      await set.add('a.example', { name: `p${at}`, phase: 'access', fields }).expect(201)
    }
    expect(await set.publish('all')).toMatchObject({ status: 201 })
  })
  beforeEach(release)
  afterAll(async () => {
    release()
    await running.close()
  })

  function report(instance: string, sequence: number) {
    const group = { requests: 10, responses: 10, status_5xx: 0, slow_responses: 0 }
    const ours = { domain: 'a.example', phase: 'access' }
    return running.ada.post('/api/reports', {
      format: 1,
      instance,
      started_at: Date.now(),
      sequence,
      host: instance,
      pid: 7,
      closing: false,
      interval: 60,
      sent_at: Date.now(),
      active: { version: 1 },
      rollouts: {
        guarded: [
          {
            ...ours,
            name: 'p0',
            sha1: '',
            stopped: null,
            inside: { runs: 10, errors: 0, exits: 0, slow_runs: 0, ...group },
            control: group,
          },
        ],
        left_out: 0,
      },
      counters: {
        bounds_ms: BOUNDS_MS,
        plugins: Array.from({ length: PLUGINS }, (_, at) => ({
          ...ours,
          name: `p${at}`,
          calls: 20 * sequence,
          errors: 10 * sequence,
          buckets: BOUNDS_MS.map(() => 0),
          last_error: null,
        })),
        plugins_left_out: 0,
      },
    })
  }

  test('counts what many processes report at once with one token while the thread is busy', async () => {
    is_busy = true
    const reports = Promise.all(Array.from({ length: FLEET }, (_, at) => report(`web-${at}`, 1)))
    await expect.poll(() => held.length, { timeout: 30_000 }).toBeGreaterThan(0)
    // The others come as far.
    await sleep(1000)
    release()
    for (const { status } of await reports) expect(status).toBe(204)
    expect(running.failures).toEqual([])
    const { body } = await running.ada
      .get('/api/rollouts/of')
      .query({ domain: 'a.example', plugin: 'p0', phase: 'access' })
    expect(body.rollouts[0].counts.inside.runs).toBe(FLEET * 10)
  })

  test('a page of plugins in trouble has the owner of each', async () => {
    await report('web-0', 2).expect(204)
    const ask = () => running.ada.get('/api/fleet/plugins?limit=20').expect(200)
    // What was counted is written every few seconds.
    await expect.poll(async () => (await ask()).body.plugins.length, { timeout: 30_000 }).toBe(20)
    const { body } = await ask()
    for (const { name, owner } of body.plugins) expect(owner).toBe(`team ${name.slice(1)}`)
  })

  test('without the thread it is still said which plugins are in trouble', async () => {
    is_busy = true
    const page = running.ada.get('/api/fleet/plugins?limit=20').then((response) => response)
    await expect.poll(() => held.length, { timeout: 30_000 }).toBeGreaterThan(0)
    await Promise.all([...workers].map((worker) => worker.terminate()))
    const { status, body } = await page
    expect([status, body.plugins.length, body.plugins[0].owner]).toEqual([200, 20, null])
  })
})
