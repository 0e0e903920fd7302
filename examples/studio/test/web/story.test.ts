import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { checkAccess, describePages, joinBy, photograph, publish, readLive, startBrowser, write } from './browser.ts'

const CORS = "ctx.set('Access-Control-Allow-Origin', params.origin)"
const HEADER = 'access-control-allow-origin'

describePages('from the first start to a plugin in production and back', () => {
  const { openPage } = startBrowser()
  const folder = mkdtempSync(join(tmpdir(), 'studio-story-'))
  let started: ChildProcess
  let link = ''
  let demo = ''
  let ada: Page

  beforeAll(async () => {
    started = spawn(process.execPath, ['--import', 'tsx', 'start.ts'], {
      cwd: join(import.meta.dirname, '../..'),
      env: { ...process.env, PORT: '0', DEMO_PORT: '0', STUDIO_FOLDER: join(folder, 'data') },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    for await (const line of createInterface({ input: started.stdout as NodeJS.ReadableStream })) {
      link ||= /http\S+\/join#\S+/.exec(line)?.[0] ?? ''
      demo ||= /demo app.*(http:\S+)/.exec(line)?.[1] ?? ''
      if (link !== '' && demo !== '') break
    }
    ada = await openPage()
  })
  afterAll(async () => {
    started.kill('SIGTERM')
    if (started.exitCode === null) await once(started, 'exit')
    rmSync(folder, { recursive: true, force: true })
  })

  /** What the app answers to anybody, as curl would show it. */
  const ask = async () => (await fetch(demo)).headers.get(HEADER)
  const askOften = async (times: number) =>
    (await Promise.all(Array.from({ length: times }, ask))).filter((value) => value !== null).length

  async function takeStep(step: string): Promise<void> {
    await ada.getByRole('button', { name: step, exact: true }).click()
    await ada.getByRole('dialog').getByRole('button', { name: 'Publish', exact: true }).click()
    await ada.getByText(/^Version \d+ is live$/).waitFor()
    await ada.getByRole('button', { name: 'Dismiss' }).click()
  }
  /** Goes through a page of the studio to another. */
  const goTo = (name: string) => ada.getByRole('navigation', { name: 'Pages' }).getByRole('link', { name }).click()

  test('the first one comes in by the link that the first start has printed; a second one does not', async () => {
    await ada.goto(link)
    await joinBy(ada, link, 'ada')
    const eve = await openPage()
    await eve.goto(link)
    await eve.getByText(/link was already used/).waitFor()
    await eve.context().close()
  })

  test('a plugin is written; its mistake is shown where it is, and is not published', async () => {
    await ada.getByRole('button', { name: 'Add the first domain' }).click()
    await ada.getByLabel('Hosts').fill('127.0.0.1')
    await ada.getByRole('button', { name: 'Add', exact: true }).click()
    await ada.getByRole('link', { name: 'New plugin' }).click()
    await ada.getByLabel('Name', { exact: true }).fill('cors')
    await ada.getByLabel('Phase').selectOption('header_filter')
    await ada.getByLabel('Parameters').fill('{ "origin": "*" }')
    await write(ada, `${CORS.slice(0, -1)}\n`)
    await ada.getByText('1 error prevents publishing.').waitFor()
    await ada.locator('.cm-lintRange-error').first().waitFor()
    await photograph(ada, 'mistake')
    await ada.keyboard.press('Control+s')
    await ada.getByText('Saved in the change set').waitFor()
    await ada.getByRole('link', { name: 'Review and publish' }).click()
    await ada.getByText('1 error prevents publishing').waitFor()
    expect(await ada.getByRole('button', { name: /^Publish version/ }).isDisabled()).toBe(true)
    expect((await readLive(ada)).domains).toEqual([])
  })

  test('it is put right, tried on a request, and looked at beside what is live', async () => {
    await goTo('Plugins')
    await ada.getByRole('link', { name: /^cors/ }).click()
    await write(ada, CORS)
    await ada.getByText('No problems found').waitFor()
    await ada.getByText('Try this code').click()
    await ada.getByRole('button', { name: 'Send' }).click()
    await ada.getByText('header access-control-allow-origin: none → *').waitFor()
    await ada.getByText('header access-control-allow-origin: none → *').scrollIntoViewIfNeeded()
    await photograph(ada, 'tried')
    await ada.keyboard.press('Control+s')
    await ada.getByText('Saved in the change set').waitFor()
    expect(await ask()).toBe(null)
    // What was never published is not live for anybody, whatever the change set says.
    await ada.getByText('not published', { exact: true }).waitFor()
    const steps = ada.getByRole('group', { name: 'Rollout' })
    expect(await steps.getByRole('button', { pressed: true }).count()).toBe(0)
  })

  test('its shadow changes nothing, and is counted', async () => {
    await ada.getByLabel('Sticky by').selectOption('random')
    await takeStep('Shadow')
    await expect.poll(() => running(), { timeout: 10_000 }).toBe('version 1')
    expect(await askOften(20)).toBe(0)
    const row = ada.getByRole('region', { name: 'Shadow results' }).getByRole('row', { name: /^cors/ })
    // Each of them would have changed the response, and none would have ended the request.
    await expect
      .poll(() => row.getByRole('cell').allTextContents(), { timeout: 15_000 })
      .toEqual(['header_filter', '20', '0', '20', '0'])
    await photograph(ada, 'shadow')
    await ada.goBack()
    await ada.getByRole('region', { name: 'Shadow results' }).getByRole('cell', { name: '20' }).first().waitFor()
  })

  test('a tenth of the requests have it, then all of them', async () => {
    await takeStep('10 %')
    await expect.poll(() => running(), { timeout: 10_000 }).toBe('version 2')
    const some = await askOften(300)
    expect(some).toBeGreaterThan(0)
    expect(some).toBeLessThan(120)
    await ada.goBack()
    await ada.getByRole('button', { name: '10 %', pressed: true }).waitFor()
    await ada.getByText(/^10 %, since version 2, .* by ada$/).waitFor()
    await photograph(ada, 'editor')
    await takeStep('100 %')
    await expect.poll(ask, { timeout: 5000 }).toBe('*')
    await expect.poll(() => askOften(20), { timeout: 5000 }).toBe(20)
  })

  test('the fleet shows what runs, and what it did', async () => {
    await goTo('Fleet')
    const row = ada.getByRole('region', { name: 'Plugin activity' }).getByRole('listitem').filter({ hasText: 'cors' })
    await expect
      .poll(async () => Number(await row.getByRole('definition').first().textContent()), { timeout: 30_000 })
      .toBeGreaterThan(0)
    await ada.getByText('1 of 1 live process on version 3').waitFor()
    await checkAccess(ada)
  })

  test('another change is reviewed and published with a message', async () => {
    await goTo('Plugins')
    await ada.getByRole('link', { name: /^cors/ }).click()
    await write(ada, `${CORS}\nctx.set('Vary', 'Origin')`)
    await ada.keyboard.press('Control+s')
    await ada.getByText('Saved in the change set').waitFor()
    await ada.getByRole('link', { name: 'Review and publish' }).click()
    await ada.getByText('1 difference from version 3, which is live').waitFor()
    await ada.getByLabel('Message: what changes, and why').fill('Caches are told that the answer depends on the origin')
    await photograph(ada, 'review')
    await publish(ada, 'Caches are told that the answer depends on the origin')
    await expect.poll(async () => (await fetch(demo)).headers.get('vary'), { timeout: 5000 }).toBe('Origin')
  })

  test('after going back to before the first version it is gone', async () => {
    await goTo('History')
    await ada.getByRole('button', { name: 'Roll back to no plugins' }).click()
    await ada.getByRole('dialog').getByText('removed').first().waitFor()
    await photograph(ada, 'rollback')
    await ada.getByRole('dialog').getByRole('button', { name: 'Roll back' }).click()
    await ada.getByText('Version 5 is live: what version 0 was').waitFor()
    await expect.poll(ask, { timeout: 5000 }).toBe(null)
    expect((await readLive(ada)).domains).toEqual([])
  })

  /** What the demo app has reported to run; the fleet's page is open after it. */
  async function running(): Promise<string | null> {
    if (new URL(ada.url()).pathname !== '/fleet') await goTo('Fleet')
    return ada.locator('.instances .number').first().textContent()
  }
})
