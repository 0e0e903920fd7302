import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject } from 'vitest'
import { type Studio, type StudioOptions, startStudio } from '../../server/studio.ts'

const CHROMIUM = '/usr/bin/chromium'
const is_there = existsSync(CHROMIUM)
if (!is_there && process.env.DYNACODE_TEST_SERVICES === '1') throw new Error('expected Chromium to be installed')
/** Folder for pictures of the pages, for the documentation; none are taken without it. */
const PICTURES = process.env.STUDIO_PICTURES
/** Folder for pictures of the pages that were open when a test failed. */
const FAILURES = process.env.STUDIO_FAILURES
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

export const PASSWORD = 'correct horse battery'

/** Tests of the pages; skipped where there is no browser. */
export const describePages = describe.runIf(is_there)

/** A browser for the tests of a file; every test ends without a complaint of any page. */
export interface Visitors {
  openPage(options?: BrowserContextOptions): Promise<Page>
  /** What browsers complained about: scripts that failed, and what the content security policy forbade. */
  readonly complaints: string[]
}

export function startBrowser(): Visitors {
  let browser: Browser
  const complaints: string[] = []
  beforeAll(async () => {
    browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox'] })
  })
  beforeEach(() => {
    complaints.splice(0)
    return () => expect(complaints).toEqual([])
  })
  afterEach(async ({ task }) => {
    if (FAILURES === undefined || task.result?.state !== 'fail') return
    const pages = browser.contexts().flatMap((context) => context.pages())
    await Promise.all(
      pages.map((page, index) => page.screenshot({ path: join(FAILURES, `${task.name} ${index}.png`) })),
    )
  })
  afterAll(() => browser?.close())
  return {
    complaints,
    async openPage(options = {}) {
      const context = await browser.newContext({
        viewport: { width: 1280, height: 800 },
        colorScheme: 'light',
        ...options,
      })
      context.setDefaultTimeout(20_000)
      context.on('page', (page) => {
        page.on('pageerror', (error) => complaints.push(error.stack ?? error.message))
        page.on('console', (message) => {
          const { url, lineNumber, columnNumber } = message.location()
          if (/Content Security Policy/.test(message.text()))
            complaints.push(`${message.text()} (${url}:${lineNumber}:${columnNumber})`)
        })
      })
      return context.newPage()
    },
  }
}

/** A studio for the tests of a file, and who visits it. */
export interface Visited extends Visitors {
  readonly base: string
  /** Somebody who is signed in, a publisher. */
  readonly ada: Page
  readonly studio: Studio
  /** Nobody can reach it for a while. */
  stop(): Promise<void>
  start(): Promise<void>
}

/**
 * Starts a studio with an empty database of its own.
 *
 * @param options other than the database
 */
export function startVisited(options: Omit<StudioOptions, 'database'> = {}): Visited {
  const { openPage, complaints } = startBrowser()
  const folder = mkdtempSync(join(tmpdir(), 'studio-pages-'))
  let studio: Studio
  let server: Server
  let port = 0
  let ada: Page

  const base = () => `http://127.0.0.1:${port}`
  const start = async () => {
    server = createServer(studio.app.callback()).listen(port, '127.0.0.1')
    await new Promise((resolve) => server.once('listening', resolve))
    port = (server.address() as AddressInfo).port
  }
  const stop = async () => {
    const closed = new Promise((resolve) => server.close(resolve))
    server.closeAllConnections()
    await closed
  }
  beforeAll(async () => {
    cpSync(inject('empty_database'), folder, { recursive: true })
    studio = await startStudio({ database: { folder }, ...options })
    await start()
    ada = await openPage()
    await joinBy(ada, `${base()}/join#${studio.invitation}`, 'ada')
  })
  afterAll(async () => {
    if (server?.listening) await stop()
    await studio?.close()
    rmSync(folder, { recursive: true, force: true })
  })
  return {
    openPage,
    complaints,
    start,
    stop,
    get base() {
      return base()
    },
    get ada() {
      return ada
    },
    get studio() {
      return studio
    },
  }
}

/** Accepts an invitation. */
export async function joinBy(page: Page, link: string, name: string): Promise<void> {
  await page.goto(link)
  await page.getByLabel('Name').fill(name)
  await page.getByLabel('Password').fill(PASSWORD)
  await page.getByRole('button', { name: 'Join' }).click()
  await page.getByRole('heading', { level: 1, name: 'Plugins' }).waitFor()
}

/** Puts code in place of what the editor has; at once, or key by key, as a fast typist does. */
export async function write(page: Page, code: string, how: 'insertText' | 'type' = 'insertText'): Promise<void> {
  await page.locator('.cm-content').click()
  await page.keyboard.press('Control+a')
  // In place of coloured text, Chromium itself would put a styled element, and complain that the policy forbids it.
  await page.keyboard.press('Delete')
  await page.keyboard[how](code)
}

/** Publishes a change set as it is: the newest of those that are open. */
export async function publish(page: Page, message: string): Promise<void> {
  const [newest] = await call<{ id: number }[]>(page, 'GET', '/sets')
  await page.goto(new URL(`/changes/${newest?.id}`, page.url()).href)
  await page.getByLabel('Message: what changes, and why').fill(message)
  await page.getByRole('button', { name: /^Publish version/ }).click()
  await page.getByText(/^Version \d+ is live$/).waitFor()
}

/** Makes a link for somebody. */
export async function invite(page: Page, role: 'viewer' | 'author' | 'publisher'): Promise<string> {
  await page.goto(new URL('/people', page.url()).href)
  await page.getByLabel('As', { exact: true }).selectOption(role)
  await page.getByRole('button', { name: 'Create a link' }).click()
  return page.getByLabel('Secret').inputValue()
}

/** The API, as the page that somebody has open uses it: for what a test begins with. */
export async function call<T>(page: Page, method: string, path: string, data?: unknown): Promise<T> {
  const api = new URL('/api', page.url()).href
  const { csrf } = await (await page.request.get(`${api}/session`)).json()
  const answer = await page.request.fetch(api + path, {
    method,
    headers: { 'X-CSRF-Token': csrf },
    // To take in 10,000 plugins takes long on a machine that is busy with others.
    timeout: 90_000,
    ...(data === undefined ? {} : { data }),
  })
  const text = await answer.text()
  if (!answer.ok()) throw new Error(`${method} ${path}: ${answer.status()} ${text}`)
  return text === '' ? (undefined as T) : JSON.parse(text)
}

/** What a test begins with. */
export interface GivenPlugin {
  readonly domain: string
  readonly name: string
  readonly phase: string
  readonly fields: object
}

/** Begins a change set with plugins, in domains that it adds where they are not there. */
export async function change(page: Page, ...plugins: readonly GivenPlugin[]): Promise<number> {
  const { set } = await call<{ set: number }>(page, 'POST', '/sets', { name: plugins[0]?.name ?? 'changes' })
  const known = await call<{ name: string }[]>(page, 'GET', '/domains')
  const names = new Set(plugins.map(({ domain }) => domain))
  for (const { name } of known) names.delete(name)
  for (const name of names) await call(page, 'POST', `/sets/${set}/domains`, { name })
  for (const plugin of plugins) await call(page, 'POST', `/sets/${set}/plugins`, plugin)
  return set
}

/** Address of a plugin's page. */
export function pathOf({ domain, name, phase }: Omit<GivenPlugin, 'fields'>, set?: number): string {
  return `/plugin?${new URLSearchParams({ domain, name, phase, ...(set === undefined ? {} : { set: String(set) }) })}`
}

/** Saves a plugin over what is there now; in a change set of its own, where none is named. @returns the change set */
export async function save(page: Page, plugin: GivenPlugin, set?: number): Promise<number> {
  const { domain, name, phase, fields } = plugin
  const path = `/plugin?${pathOf(plugin, set).split('?')[1]}`
  const { revision } = await call<{ revision: string }>(page, 'GET', path)
  const body = { key: { domain, name, phase }, plugin: { name, phase, fields }, revision }
  return (await call<{ set: number }>(page, 'PUT', `/sets/${set ?? 'new'}/plugins`, body)).set
}

/** Begins a change set with a plugin, and returns the address of its page. */
export async function addPlugin(page: Page, code: string): Promise<string> {
  const plugin = { domain: 'shop.example.com', name: 'cors', phase: 'header_filter', fields: { code } }
  return pathOf(plugin, await change(page, plugin))
}

/** What instances are served. */
// biome-ignore lint/suspicious/noExplicitAny: a document is looked at in many places
export async function readLive(page: Page): Promise<any> {
  return (await fetch(new URL('/plugins.json', page.url()))).json()
}

/** Takes a picture for the documentation, where somebody asked for pictures. */
export async function photograph(page: Page, name: string): Promise<void> {
  if (PICTURES === undefined) return
  mkdirSync(PICTURES, { recursive: true })
  await page.screenshot({ path: join(PICTURES, `${name}.png`), caret: 'hide', animations: 'disabled' })
}

/** Looks for what keeps people out. axe comes by the debugging protocol: the page's own policy would not load it. */
export async function checkAccess(page: Page): Promise<void> {
  await page.evaluate(axe)
  const { violations } = (await page.evaluate(
    "axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice'], resultTypes: ['violations'] })",
  )) as { violations: { id: string; impact: string; nodes: { target: unknown; failureSummary: string }[] }[] }
  const serious = violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, nodes }) => [page.url(), id, nodes.map(({ target, failureSummary }) => [`${target}`, failureSummary])])
  expect(serious).toEqual([])
}

/** By how many pixels a page is wider than the screen. */
export function measureOverflow(page: Page): Promise<number> {
  return page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth')
}
