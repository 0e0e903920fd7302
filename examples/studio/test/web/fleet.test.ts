import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type Dynacode, dynacode } from 'dynacode'
import Koa from 'koa'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
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

const GUARD = "const user = ctx.state.user\nif (user.roles.includes('banned')) exit(403)"
const SIZES = [
  ['desktop', { width: 1280, height: 800 }],
  ['tablet', { width: 820, height: 1100 }],
  ['phone', { width: 390, height: 844 }],
] as const

describePages('at 3 a.m.: a plugin answers 503 to everybody', () => {
  const visited = startVisited({ report_token: 'reporter' })
  const apps: { dyna: Dynacode; server: Server }[] = []

  async function startApp(): Promise<void> {
    const authorization = 'Bearer reporter'
    const dyna = dynacode({
      plugin_api_uri: `${visited.base}/plugins.json`,
      plugin_api_wait: 30,
      report_uri: `${visited.base}/api/reports`,
      report_headers: { authorization },
      report_interval: 1,
      breaker_failures: 0,
      logger: false,
    })
    const app = new Koa()
    app.use(dyna)
    app.use((ctx) => {
      ctx.body = 'app'
    })
    const server = createServer(app.callback()).listen(0, '127.0.0.1')
    await new Promise((resolve) => server.once('listening', resolve))
    apps.push({ dyna, server })
    await dyna.ready()
  }
  async function request(path: string, times: number): Promise<number[]> {
    const statuses: number[] = []
    for (const { server } of apps) {
      const { port } = server.address() as AddressInfo
      for (let at = 0; at < times; at += 1) statuses.push((await fetch(`http://127.0.0.1:${port}${path}`)).status)
    }
    return statuses
  }

  beforeAll(async () => {
    const { ada } = visited
    const access = (name: string, code: string, fields: object = {}) => ({
      domain: '127.0.0.1',
      name,
      phase: 'access',
      fields: { code, ...fields },
    })
    await change(
      ada,
      access('headers', "ctx.set('X-Shop', '1')"),
      access('flaky', "if (ctx.path === '/odd') ctx.nothing()"),
      access('guard', GUARD, {
        on_failure: 'closed',
        when: { paths: '/shop' },
        'x-owner': 'payments team',
        'x-runbook': 'https://wiki.example.com/guard',
      }),
    )
    await publish(ada, 'A guard for the shop')
    for (let app = 0; app < 3; app += 1) await startApp()
  })
  afterAll(async () => {
    for (const { dyna, server } of apps) {
      server.closeAllConnections()
      server.close()
      await dyna.close()
    }
  })

  const list = (page: Page, name: string) => page.getByRole('region', { name }).getByRole('listitem')
  const headline = (page: Page) => page.locator('.summary')

  test('the fleet says in one line what is live where', async () => {
    const { ada, base } = visited
    await ada.goto(`${base}/fleet`)
    await headline(ada).getByText('3 of 3 live processes on version 1').waitFor()
    expect(await list(ada, 'Processes').count()).toBe(3)
    await list(ada, 'Processes').first().locator('summary').click()
    await ada.getByText('Live since').waitFor()
    await checkAccess(ada)
  })

  test.each(SIZES)(
    'on a %s, the plugin stands first, red, with its last error, line and time',
    async (name, viewport) => {
      const { ada, base, openPage } = visited
      const page = await openPage({ viewport, storageState: await ada.context().storageState() })
      await page.goto(`${base}/fleet`)
      expect(new Set(await request('/shop?user=hunter2', 5))).toEqual(new Set([503]))
      await request('/odd', 1)
      await request('/', 20)
      const row = list(page, 'Plugin activity').first()
      await row.getByText('answers 503 to 100 % of requests').waitFor({ timeout: 60_000 })
      await row.getByText("Cannot read properties of undefined (reading 'roles')").waitFor()
      await row.getByText('line 2:').waitFor()
      await row.getByText('the request got 503').waitFor()
      await row.getByText('Owner: payments team').waitFor()
      expect(await row.getByRole('link', { name: 'Runbook' }).getAttribute('href')).toBe(
        'https://wiki.example.com/guard',
      )
      expect(await page.content()).not.toContain('hunter2')
      expect([name, await measureOverflow(page)]).toEqual([name, 0])
      await checkAccess(page)
      if (name !== 'tablet') await photograph(page, `fleet-${name}`)
      await row.getByRole('link', { name: 'guard' }).click()
      await page.getByRole('heading', { level: 1, name: 'guard' }).waitFor()
      await page.getByRole('heading', { name: 'Last error' }).waitFor()
      await page.getByRole('link', { name: 'Runbook' }).waitFor()
      await page.locator('.chart').first().waitFor()
      await page.getByText('As a table').click()
      await page.getByRole('region', { name: 'Values of the charts' }).waitFor()
      expect([name, await measureOverflow(page)]).toEqual([name, 0])
      await checkAccess(page)
      await page.getByRole('link', { name: 'Open in the editor' }).click()
      await expect.poll(() => new URL(page.url()).pathname).toBe('/plugin')
      await page.locator('.cm-content').waitFor()
      await page.context().close()
    },
  )

  test('on a phone it is switched off from its row, and every process has it within moments', async () => {
    const { ada, base, openPage } = visited
    const phone = await openPage({
      viewport: { width: 390, height: 844 },
      storageState: await ada.context().storageState(),
    })
    await phone.goto(`${base}/fleet`)
    await phone.getByRole('button', { name: 'Switch off guard in 127.0.0.1' }).click()
    await phone.getByRole('dialog').getByRole('button', { name: 'Switch off' }).click()
    await headline(phone).getByText('3 of 3 live processes on version 2').waitFor({ timeout: 60_000 })
    expect(new Set(await request('/shop', 2))).toEqual(new Set([200]))
    await list(phone, 'Plugin activity')
      .filter({ hasText: 'guard' })
      .getByText('switched off')
      .waitFor({ timeout: 60_000 })
    await phone.context().close()
  })

  test('a viewer sees the same, and has no button to switch it off', async () => {
    const { ada, base, openPage } = visited
    const { secret } = await call<{ secret: string }>(ada, 'POST', '/invitations', { role: 'viewer' })
    const vic = await openPage()
    await vic.goto(`${base}/join#${secret}`)
    await vic.getByLabel('Name').fill('vic')
    await vic.getByLabel('Password').fill('correct horse battery')
    await vic.getByRole('button', { name: 'Join' }).click()
    await vic.getByRole('heading', { level: 1, name: 'Plugins' }).waitFor()
    await vic.goto(`${base}/fleet`)
    await list(vic, 'Plugin activity').first().waitFor()
    expect(await vic.getByRole('button', { name: /^Switch off / }).count()).toBe(0)
    await vic.context().close()
  })

  test('a process that ends stands apart, and is dismissed', async () => {
    const { ada, base } = visited
    await ada.goto(`${base}/fleet`)
    await headline(ada).getByText('3 of 3').waitFor()
    await apps[0]?.dyna.close()
    await headline(ada).getByText('2 of 2 live processes on version 2').waitFor()
    await headline(ada).getByText('1 closed').waitFor()
    await list(ada, 'Silent and closed')
      .getByRole('button', { name: /^Dismiss / })
      .click()
    await ada.getByRole('region', { name: 'Silent and closed' }).waitFor({ state: 'detached' })
    expect(await list(ada, 'Processes').count()).toBe(2)
    await checkAccess(ada)
  })
})
