import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { type Browser, chromium, type Page } from 'playwright-core'
import { build } from 'vite'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type Studio, startStudio } from '../server/studio.ts'

const CHROMIUM = '/usr/bin/chromium'
const is_there = existsSync(CHROMIUM)
if (!is_there && process.env.DYNACODE_TEST_SERVICES === '1') throw new Error('expected Chromium to be installed')
/** Folder for pictures of the pages, for the documentation; none are taken without it. */
const SCREENSHOTS = process.env.STUDIO_SCREENSHOTS

const PASSWORD = 'correct horse battery'
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

describe.runIf(is_there)('the pages, in a browser', { timeout: 60_000 }, () => {
  let studio: Studio
  let server: Server
  let browser: Browser
  let ada: Page
  let base: string
  /** What browsers complained about: scripts that failed, and what the content security policy forbade. */
  const complaints: string[] = []

  beforeAll(async () => {
    await build({ configFile: join(import.meta.dirname, '../web/vite.config.ts'), logLevel: 'error' })
    studio = await startStudio({ database: { folder: 'memory' } })
    server = createServer(studio.app.callback()).listen(0, '127.0.0.1')
    await new Promise((resolve) => server.once('listening', resolve))
    base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox'] })
    ada = await openPage()
  }, 240_000)
  beforeEach(() => void complaints.splice(0))
  afterAll(async () => {
    await browser?.close()
    server?.close()
    server?.closeAllConnections()
    await studio?.close()
  })

  async function openPage(options: Parameters<Browser['newContext']>[0] = {}): Promise<Page> {
    const context = await browser.newContext({
      viewport: { width: 1280, height: 860 },
      colorScheme: 'light',
      ...options,
    })
    const page = await context.newPage()
    page.setDefaultTimeout(20_000)
    page.on('pageerror', (error) => complaints.push(error.message))
    page.on('console', (message) => {
      if (/Content Security Policy/.test(message.text()))
        complaints.push(
          `${message.text()} (${message.location().url}:${message.location().lineNumber}:${message.location().columnNumber})`,
        )
    })
    return page
  }

  async function joinBy(page: Page, link: string, name: string): Promise<void> {
    await page.goto(link)
    await page.getByLabel('Name').fill(name)
    await page.getByLabel('Password').fill(PASSWORD)
    await page.getByRole('button', { name: 'Join' }).click()
    await page.getByRole('heading', { level: 1, name: 'Plugins' }).waitFor()
  }

  /** Another page of somebody who is signed in. */
  async function openBeside(page: Page, path: string): Promise<Page> {
    const beside = await page.context().newPage()
    beside.setDefaultTimeout(20_000)
    await beside.goto(base + path)
    return beside
  }

  // biome-ignore lint/suspicious/noExplicitAny: a document is looked at in many places
  const live = async (): Promise<any> => (await fetch(`${base}/plugins.json`)).json()

  /** Puts code in place of what the editor has; at once, or key by key, as a fast typist does. */
  async function write(page: Page, code: string, how: 'insertText' | 'type' = 'insertText'): Promise<void> {
    await page.locator('.cm-content').click()
    await page.keyboard.press('Control+a')
    // In place of coloured text, Chromium itself would put a styled element, and complain that the policy forbids it.
    await page.keyboard.press('Delete')
    await page.keyboard[how](code)
  }

  async function publish(page: Page, message: string): Promise<void> {
    await page.goto(`${base}/review`)
    await page.getByLabel('What is new, and why').fill(message)
    await page.getByRole('button', { name: /^Publish version/ }).click()
    await page.getByText(/^Version \d+ is live$/).waitFor()
  }

  async function photograph(page: Page, name: string): Promise<void> {
    if (SCREENSHOTS === undefined) return
    mkdirSync(SCREENSHOTS, { recursive: true })
    await page.screenshot({ path: join(SCREENSHOTS, `${name}.png`) })
  }

  test('let the first one in by the link, once', async () => {
    const link = `${base}/join#${studio.invitation}`
    await ada.goto(link)
    await ada.getByLabel('Name').fill('ada')
    await ada.getByLabel('Password').fill('too short')
    await ada.getByRole('button', { name: 'Join' }).click()
    expect(await ada.evaluate("document.querySelector('[type=password]').validity.tooShort")).toBe(true)
    await joinBy(ada, link, 'ada')
    const eve = await openPage()
    await eve.goto(link)
    await eve.getByLabel('Name').fill('eve')
    await eve.getByLabel('Password').fill(PASSWORD)
    await eve.getByRole('button', { name: 'Join' }).click()
    await eve.getByText(/invitation was used already/).waitFor()
    expect(await eve.getByLabel('Name').inputValue()).toBe('eve')
    await eve.context().close()
    expect(complaints).toEqual([])
  })

  test('bring the CORS plugin from a mistake to what is live, and back', async () => {
    await ada.goto(base)
    await ada.getByRole('button', { name: 'Add the first domain' }).click()
    await ada.getByLabel('Hosts').fill('shop.example.com')
    await ada.getByRole('button', { name: 'Add', exact: true }).click()
    await ada.getByRole('link', { name: 'New plugin' }).click()
    await ada.getByLabel('Name', { exact: true }).fill('cors')
    await ada.getByLabel('Phase').selectOption('header_filter')

    // A mistake is shown where it is.
    await write(ada, "ctx.set('Access-Control-Allow-Origin', '*'")
    await ada.getByText('An error keeps this from being published.').waitFor()
    await ada.locator('.cm-lintRange-error').first().waitFor()
    await photograph(ada, 'error')
    await write(ada, "ctx.set('Access-Control-Allow-Origin', '*')")
    await ada.getByText('The checks find nothing to say.').waitFor()

    // Tried as it is, before it is saved.
    await ada.getByText('Try it, as it is here').click()
    await ada.getByRole('button', { name: 'Send' }).click()
    await ada.getByText('header access-control-allow-origin: none → *').waitFor()

    await ada.keyboard.press('Control+s')
    await ada.getByText('Saved in the draft').waitFor()
    expect(ada.url()).toMatch(/\/plugins\/\d+$/)
    expect((await live()).domains).toEqual([])

    await publish(ada, 'CORS for the shop')
    expect((await live()).domains[0].plugins).toEqual([
      { name: 'cors', phase: 'header_filter', code: "ctx.set('Access-Control-Allow-Origin', '*')" },
    ])

    await ada.goto(`${base}/history`)
    await ada.getByRole('button', { name: 'Roll back to nothing' }).click()
    await ada.getByRole('dialog').getByRole('button', { name: 'Roll back' }).click()
    await ada.getByText('Version 2 is live: what version 0 was').waitFor()
    expect((await live()).domains).toEqual([])
    expect(complaints).toEqual([])
  })

  test('bring a plugin out step by step', async () => {
    await publish(ada, 'once more')
    await ada.goto(base)
    await ada.getByRole('link', { name: /^cors/ }).click()
    for (const [step, expected] of [
      ['Shadow', { mode: 'shadow' }],
      ['10 %', { rollout: { percent: 10 } }],
      ['100 %', {}],
    ] as const) {
      await ada.getByRole('button', { name: step, exact: true }).click()
      await ada.getByRole('dialog').getByRole('button', { name: 'Publish' }).click()
      await ada.getByText(/^Version \d+ is live$/).waitFor()
      const [plugin] = (await live()).domains[0].plugins
      const { name: _, phase: __, code: ___, ...rest } = plugin
      expect(rest).toEqual(expected)
      await ada.getByRole('button', { name: 'Dismiss' }).click()
    }
    expect(complaints).toEqual([])
  })

  test('complete what is in scope of the phase, and of its parts', async () => {
    await ada.goto(base)
    await ada.getByRole('link', { name: /^cors/ }).click()
    await ada.locator('.cm-content').waitFor()
    await write(ada, 'ctx.resp', 'type')
    await ada.locator('.cm-tooltip-autocomplete').getByText('response', { exact: true }).waitFor()
    await write(ada, 'stor', 'type')
    await ada.locator('.cm-tooltip-autocomplete').getByText('store', { exact: true }).waitFor()
    // Not in this phase.
    await write(ada, 'chun', 'type')
    await expect
      .poll(() => ada.locator('.cm-tooltip-autocomplete').getByText('chunk', { exact: true }).count(), {
        timeout: 2000,
      })
      .toBe(0)
    expect(complaints).toEqual([])
  })

  test('keep what was typed and not saved', async () => {
    await ada.goto(base)
    await ada.getByRole('link', { name: /^cors/ }).click()
    await write(ada, "log('not saved, typed at once')", 'type')
    await ada.getByLabel('Parameters').fill('{ "half":')
    await ada.getByText('Not saved', { exact: true }).waitFor()
    ada.once('dialog', (dialog) => dialog.accept())
    await ada.reload()
    await ada.getByText('This is what you had typed and not saved.').waitFor()
    await expect.poll(() => ada.locator('.cm-content').textContent()).toBe("log('not saved, typed at once')")
    expect(await ada.getByLabel('Parameters').inputValue()).toBe('{ "half":')
    await ada.getByRole('button', { name: 'Save', exact: true }).click()
    await ada.getByText('Not saved yet: some fields are not right').waitFor()
    await ada.getByRole('button', { name: 'Drop it' }).click()
    await expect.poll(() => ada.locator('.cm-content').textContent()).toMatch(/^ctx\.set/)
    expect(complaints).toEqual([])
  })

  test('show two authors both versions, and lose neither', async () => {
    await ada.goto(`${base}/people`)
    await ada.getByLabel('As', { exact: true }).selectOption('author')
    await ada.getByRole('button', { name: 'Make a link' }).click()
    const bob = await openPage()
    await joinBy(bob, await ada.getByLabel('Secret').inputValue(), 'bob')
    expect(await bob.getByRole('button', { name: 'Kill switch' }).count()).toBe(0)
    expect(await bob.getByRole('link', { name: 'People' }).count()).toBe(0)

    await bob.getByRole('link', { name: /^cors/ }).click()
    await bob.locator('.cm-content').waitFor()
    await ada.goto(bob.url())
    await write(ada, "ctx.set('X-By', 'ada')")
    await bob.getByLabel('Priority').fill('7')
    await write(bob, "ctx.set('X-By', 'bob')")
    await ada.keyboard.press('Control+s')
    await ada.getByText('Saved in the draft').waitFor()
    await bob.getByText('Somebody else has saved this plugin meanwhile.').waitFor()
    await bob.keyboard.press('Control+s')
    await bob.getByText('Somebody else has saved this plugin while you worked on it').waitFor()
    await bob.locator('.cm-merge-a').getByText('ada').waitFor()
    await photograph(bob, 'conflict')
    await checkAccess(bob)
    await bob.getByRole('button', { name: 'Save as chosen' }).click()
    await bob.getByText('Saved in the draft').waitFor()
    // Who only looks sees what came of it.
    await expect.poll(() => ada.locator('.cm-content').textContent()).toBe("ctx.set('X-By', 'bob')")
    expect(await ada.getByLabel('Priority').inputValue()).toBe('7')
    await bob.context().close()
    expect(complaints).toEqual([])
  })

  test('switch everything off and on again, on a phone', async () => {
    const phone = await openPage({
      viewport: { width: 390, height: 844 },
      colorScheme: 'dark',
      storageState: await ada.context().storageState(),
    })
    await phone.goto(base)
    await phone.getByRole('button', { name: 'Kill switch' }).click()
    await photograph(phone, 'kill-switch')
    await checkAccess(phone)
    await phone.getByRole('button', { name: 'Switch everything off' }).click()
    await phone.getByRole('button', { name: 'Switch off', exact: true }).click()
    await phone.getByText('Everything is switched off.').waitFor()
    expect((await live()).general.status).toBe('disabled')
    // Every open page says so.
    await ada.getByText('Everything is switched off.').waitFor()
    await phone.getByRole('button', { name: 'Switch on again…' }).click()
    await phone.getByRole('button', { name: 'Switch everything on again' }).click()
    await phone.getByRole('button', { name: 'Switch on', exact: true }).click()
    await phone.getByText('Everything is switched off.').waitFor({ state: 'detached' })
    expect((await live()).general.status).toBe('enabled')
    await phone.context().close()
    expect(complaints).toEqual([])
  })

  test('switch one plugin off, without the rest of the draft', async () => {
    await ada.goto(base)
    await ada.getByRole('link', { name: /^cors/ }).click()
    await ada.getByRole('button', { name: 'Switch off…' }).click()
    await ada.getByRole('dialog').getByRole('button', { name: 'Switch off', exact: true }).click()
    await ada.getByText(/^cors in shop.example.com is switched off/).waitFor()
    const [plugin] = (await live()).domains[0].plugins
    expect(plugin).toMatchObject({ enabled: false, code: "ctx.set('Access-Control-Allow-Origin', '*')" })
    expect(complaints).toEqual([])
  })

  test.each(['light', 'dark'] as const)(
    'are for everybody: axe finds nothing serious, in the %s',
    async (colorScheme) => {
      await ada.emulateMedia({ colorScheme })
      await ada.goto(base)
      const editor = await ada.getByRole('link', { name: /^cors/ }).getAttribute('href')
      for (const [name, path, ready] of [
        ['plugins', '/', '.plugins'],
        ['editor', editor as string, '.cm-content'],
        ['try', '/try', 'form'],
        ['review', '/review', '.differences, .empty'],
        ['history', '/history?before=0&after=3', '.differences'],
        ['fleet', '/fleet', '.empty'],
        ['audit', '/audit', 'table'],
        ['people', '/people', '.rows'],
        ['nowhere', '/nowhere', '.empty'],
      ] as const) {
        await ada.goto(base + path)
        await ada.locator(ready).first().waitFor()
        await checkAccess(ada)
        await photograph(ada, `${name}-${colorScheme}`)
      }
      await ada.keyboard.press('?')
      await ada.getByRole('dialog', { name: 'Keys' }).waitFor()
      await checkAccess(ada)
      const stranger = await openPage({ colorScheme })
      await stranger.goto(base)
      await stranger.getByRole('button', { name: 'Sign in' }).waitFor()
      await checkAccess(stranger)
      await stranger.context().close()
      expect(complaints).toEqual([])
    },
  )

  test('fit on a phone: nothing is wider than the screen', async () => {
    const phone = await openPage({
      viewport: { width: 360, height: 740 },
      storageState: await ada.context().storageState(),
    })
    await phone.goto(base)
    const editor = await phone.getByRole('link', { name: /^cors/ }).getAttribute('href')
    for (const path of ['/', editor, '/try', '/review', '/history', '/fleet', '/audit', '/people']) {
      await phone.goto(base + path)
      await phone.locator('h1').waitFor()
      const wide = await phone.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth')
      expect([path, wide]).toEqual([path, 0])
    }
    await phone.context().close()
  })

  test('come back to what was typed after the session has ended', async () => {
    await ada.goto(base)
    await ada.getByRole('link', { name: /^cors/ }).click()
    await write(ada, "log('late at night')")
    const beside = await openBeside(ada, '/')
    await beside.getByLabel('Signed in as ada').click()
    await beside.getByRole('button', { name: 'Sign out' }).click()
    await beside.getByRole('button', { name: 'Sign in' }).waitFor()
    await beside.close()
    await ada.keyboard.press('Control+s')
    await ada.getByText('Your session has ended.').waitFor()
    await ada.getByLabel('Name').fill('ada')
    await ada.getByLabel('Password').fill('wrong')
    await ada.getByRole('button', { name: 'Sign in' }).click()
    await ada.getByText('Name or password is wrong').waitFor()
    await ada.getByLabel('Password').fill(PASSWORD)
    await ada.getByRole('button', { name: 'Sign in' }).click()
    await ada.getByText('This is what you had typed and not saved.').waitFor()
    await expect.poll(() => ada.locator('.cm-content').textContent()).toBe("log('late at night')")
    expect(complaints).toEqual([])
  })

  /** Looks for what keeps people out. axe comes by the debugging protocol: the page's own policy would not load it. */
  async function checkAccess(page: Page): Promise<void> {
    await page.evaluate(axe)
    const { violations } = (await page.evaluate(
      "axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice'] })",
    )) as { violations: { id: string; impact: string; nodes: { target: unknown; failureSummary: string }[] }[] }
    const serious = violations
      .filter(({ impact }) => impact === 'serious' || impact === 'critical')
      .map(({ id, nodes }) => [
        page.url(),
        id,
        nodes.map(({ target, failureSummary }) => [String(target), failureSummary]),
      ])
    expect(serious).toEqual([])
  }
})
