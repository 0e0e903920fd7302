import type { Page } from 'playwright-core'
import { beforeAll, expect, test } from 'vitest'
import {
  call,
  change,
  checkAccess,
  describePages,
  measureOverflow,
  photograph,
  publish,
  startVisited,
} from './browser.ts'

const SIZES = [
  ['desktop', { width: 1280, height: 800 }],
  ['phone', { width: 390, height: 844 }],
] as const
const STEPS = [{ percent: 1, for: '10m' }, { percent: 10, for: '30m' }, { percent: 100 }]
const PLACE = { domain: 'shop.example.com', name: 'new-price', phase: 'access' }

describePages('the rollouts', () => {
  const visited = startVisited()
  let sequence = 0
  const starts = new Map<string, number>()
  function startOf(process: string): number {
    const known = starts.get(process) ?? Date.now()
    starts.set(process, known)
    return known
  }

  /** A report of a process, as dynacode sends it. */
  async function report(process: string, runs: number, errors: number, stopped: object | null = null): Promise<void> {
    const [newest] = await call<{ version: number }[]>(visited.ada, 'GET', '/versions')
    const group = (requests: number, status_5xx: number) => ({
      requests,
      responses: requests,
      status_5xx,
      slow_responses: 0,
    })
    sequence += 1
    await call(visited.ada, 'POST', '/reports', {
      format: 1,
      instance: process,
      sequence,
      host: process,
      pid: 7,
      closing: false,
      interval: 60,
      started_at: startOf(process),
      sent_at: Date.now(),
      active: { version: newest?.version },
      rollouts: {
        guarded: [
          {
            domain: PLACE.domain,
            name: PLACE.name,
            phase: PLACE.phase,
            stopped: stopped && { ...stopped, at: Date.now() },
            inside: { runs, errors, exits: 0, slow_runs: 0, ...group(runs, errors) },
            control: group(runs * 99, 1),
          },
        ],
        left_out: 0,
      },
    })
  }
  const open = (page: Page) =>
    page.goto(`${visited.base}/rollouts/plugin?domain=${PLACE.domain}&plugin=${PLACE.name}&phase=${PLACE.phase}`)
  const state = (page: Page) => page.locator('.rollout-state')

  beforeAll(async () => {
    const { ada } = visited
    const stop_when = { error_rate: 0.05, status_5xx_rate: { above_control: 0.02 } }
    const fields = { code: 'ctx.state.price = 2', rollout: { percent: 1, by: 'ip', stop_when }, 'x-steps': STEPS }
    await change(ada, { ...PLACE, fields })
    await publish(ada, 'a new price')
    await report('web-1', 40, 0)
    await report('web-2', 38, 1)
  })

  test('are found from the navigation, the editor and the fleet', async () => {
    const { ada, base } = visited
    await ada.goto(base)
    await ada.getByRole('navigation', { name: 'Pages' }).getByRole('link', { name: 'Rollouts' }).click()
    await ada.getByRole('heading', { level: 1, name: 'Rollouts' }).waitFor()
    await ada.getByText('1 %, step 1 of 3').waitFor()
    await checkAccess(ada)
    await ada.getByRole('link', { name: PLACE.name }).click()
    await ada.getByRole('heading', { level: 1, name: PLACE.name }).waitFor()
    await ada.getByRole('link', { name: 'Open in the editor' }).click()
    await ada.getByRole('link', { name: 'See how it goes' }).click()
    await ada.getByRole('link', { name: 'In the fleet' }).click()
    await ada.getByRole('link', { name: 'Rollout', exact: true }).click()
    await state(ada).getByText('1 %, step 1 of 3').waitFor()
  })

  test.each(SIZES)(
    'one shows both groups, its steps and what can be done, at the width of a %s',
    async (name, viewport) => {
      const { ada } = visited
      await ada.setViewportSize(viewport)
      await open(ada)
      await state(ada).getByText('1 %, step 1 of 3').waitFor()
      await ada.getByRole('row', { name: /runs that failed 1 \(1.28 %\) –/ }).waitFor()
      await ada.getByRole('row', { name: /5xx responses 1 \(1.28 %\) 2 \(0.03 %\)/ }).waitFor()
      expect(await ada.locator('.rollout-steps [aria-current]').textContent()).toContain('for 10 min')
      await ada.getByRole('figure', { name: '5xx responses in %' }).waitFor()
      await ada.getByRole('figure', { name: 'Share of the requests in %' }).waitFor()
      await ada.getByText('As a table').click()
      await ada.getByRole('columnheader', { name: '5xx responses: other requests' }).waitFor()
      expect(await measureOverflow(ada)).toBe(0)
      await checkAccess(ada)
      if (name === 'desktop') await photograph(ada, 'rollout-charts')
      await ada.setViewportSize({ width: 1280, height: 800 })
    },
  )

  test('one has in its charts what is reported while they load for the first time', async () => {
    const { ada } = visited
    let asked = 0
    await ada.route('**/chart?*', async (route) => {
      asked += 1
      // The first answer never comes: only who listens already asks again.
      if (asked > 1) await route.continue()
    })
    await open(ada)
    await expect.poll(() => asked, { timeout: 30_000 }).toBe(1)
    await report('web-1', 41, 0)
    await expect.poll(() => asked, { timeout: 30_000 }).toBeGreaterThan(1)
    await ada.getByRole('figure', { name: '5xx responses in %' }).waitFor()
    await ada.unroute('**/chart?*')
  })

  test('is paused and resumed, goes on, and is stopped by hand on a phone', async () => {
    const { ada } = visited
    await ada.setViewportSize({ width: 390, height: 844 })
    await open(ada)
    await ada.getByRole('button', { name: 'Pause' }).click()
    await state(ada).getByText('paused by ada').waitFor()
    await ada.getByRole('button', { name: 'Resume' }).click()
    await state(ada).getByText('1 %, step 1 of 3', { exact: true }).waitFor()
    await ada.getByRole('button', { name: 'Go to 10 %' }).click()
    await checkAccess(ada)
    await ada.getByRole('dialog').getByRole('button', { name: 'Go to 10 %' }).click()
    await state(ada).getByText('10 %, step 2 of 3').waitFor()
    await ada.getByRole('button', { name: 'Stop', exact: true }).click()
    await checkAccess(ada)
    await ada.getByRole('dialog').getByRole('button', { name: 'Stop' }).click()
    await state(ada).getByText('stopped by ada').waitFor()
    await ada.getByText('Go begins with the first step again.').waitFor()
    await ada.setViewportSize({ width: 1280, height: 800 })
  })

  test('says in plain words what has stopped it, as soon as a process reports it', async () => {
    const { ada, base } = visited
    await open(ada)
    await ada.getByRole('button', { name: 'Go to 1 %' }).click()
    await ada.getByRole('dialog').getByRole('button', { name: 'Go to 1 %' }).click()
    await state(ada).getByText('1 %, step 1 of 3').waitFor()
    await report('web-1', 20, 20, { condition: 'error_rate', limit: 0.05, above_control: false })
    await state(ada).getByText('more than 5 % of the runs fail: 20 of 20, on web-1 (process 7)').waitFor()
    await state(ada)
      .getByText(/has it at 0 % in all processes/)
      .waitFor()
    await checkAccess(ada)
    await photograph(ada, 'rollout-stopped')
    await ada.goto(`${base}/history`)
    await ada.getByText(/^new-price: rollout stopped: more than 5 %/).waitFor()
  })

  test('of a candidate document stand in the fleet, with the process that reports it', async () => {
    const { ada, base } = visited
    const stopped = { condition: 'status_5xx_rate', limit: 0.02, above_control: true, at: Date.now() }
    const row = () => ada.getByRole('region', { name: 'Processes' }).getByRole('listitem').filter({ hasText: 'web-9' })
    for (const canary of [
      { percent: 5, stopped: null },
      { percent: 0, stopped },
    ]) {
      sequence += 1
      const process = { instance: 'candidate', host: 'web-9', pid: 9, sequence, closing: false, interval: 60 }
      await call(ada, 'POST', '/reports', { format: 1, ...process, active: { version: 'next' }, canary })
      await ada.goto(`${base}/fleet`)
      if (canary.stopped !== null) await row().getByText('candidate document stopped').waitFor()
      await row().locator('summary').click()
      const said =
        canary.stopped === null ? 'for 5 % of the requests' : /^stopped: the share of 5xx responses is more than 2/
      await row().getByText(said).waitFor()
    }
    await checkAccess(ada)
  })

  test('shows a viewer no buttons', async () => {
    const { ada, base, openPage } = visited
    const { secret } = await call<{ secret: string }>(ada, 'POST', '/invitations', { role: 'viewer' })
    const vic = await openPage()
    await vic.goto(`${base}/join#${secret}`)
    await vic.getByLabel('Name').fill('vic')
    await vic.getByLabel('Password').fill('correct horse battery')
    await vic.getByRole('button', { name: 'Join' }).click()
    await vic.getByRole('heading', { level: 1, name: 'Plugins' }).waitFor()
    await open(vic)
    await state(vic).waitFor()
    expect(await vic.getByRole('button', { name: /^(Stop|Go|Pause)/ }).count()).toBe(0)
    await vic.context().close()
  })
})
