import { beforeAll, expect, test } from 'vitest'
import {
  call,
  change,
  checkAccess,
  describePages,
  measureOverflow,
  pathOf,
  publish,
  save,
  startVisited,
} from './browser.ts'

const PLUGIN = {
  domain: 'shop.example.com',
  name: 'cors',
  phase: 'header_filter',
  fields: { code: "ctx.set('X-A', '1')" },
}

describePages('every page', () => {
  const visited = startVisited()
  let pages: readonly (readonly [path: string, ready: string])[] = []

  beforeAll(async () => {
    const { ada } = visited
    const published = await change(ada, PLUGIN)
    await publish(ada, 'CORS for the shop')
    const set = await change(ada, { ...PLUGIN, name: 'broken', fields: { code: '(' } })
    await save(ada, { ...PLUGIN, fields: { code: "ctx.set('X-A', '2')", priority: 3 } }, set)
    await call(ada, 'POST', `/sets/${set}/comments`, { text: 'Why?' })
    pages = [
      ['/', '.plugins'],
      ['/?domain=shop.example.com', '.plugins'],
      [`/?set=${set}`, '.live-list .added'],
      [pathOf(PLUGIN, set), '.cm-content'],
      ['/plugin?domain=shop.example.com', '.cm-content'],
      ['/try', 'form'],
      ['/document', 'textarea'],
      ['/changes', '.sets'],
      [`/changes/${set}`, '.differences'],
      [`/changes/${published}`, '.comments'],
      ['/history?before=0&after=1', '.differences'],
      ['/fleet', '.empty'],
      ['/audit', 'table'],
      ['/people', '.cards'],
      ['/environments', 'form'],
      ['/webhooks', 'form'],
      ['/actions', '.actions'],
      ['/rollouts', '.empty'],
      ['/history', '.cards'],
      ['/nowhere', '.empty'],
    ]
  })

  test.each(['light', 'dark'] as const)('is for everybody: axe finds nothing serious, in the %s', async (scheme) => {
    const { ada, base, openPage } = visited
    await ada.emulateMedia({ colorScheme: scheme })
    for (const [path, ready] of pages) {
      await ada.goto(base + path)
      await ada.locator(ready).first().waitFor()
      await checkAccess(ada)
    }
    await ada.keyboard.press('?')
    await ada.getByRole('dialog', { name: 'Keys' }).waitFor()
    await checkAccess(ada)
    const stranger = await openPage({ colorScheme: scheme })
    await stranger.goto(base)
    await stranger.getByRole('button', { name: 'Sign in' }).waitFor()
    await checkAccess(stranger)
    await stranger.context().close()
  })

  test('fits on a phone: nothing is wider than the screen, nor out of reach', async () => {
    const { ada, base, openPage } = visited
    const phone = await openPage({
      viewport: { width: 360, height: 740 },
      storageState: await ada.context().storageState(),
    })
    for (const [path, ready] of pages) {
      await phone.goto(base + path)
      await phone.locator(ready).first().waitFor()
      expect([path, await measureOverflow(phone)]).toEqual([path, 0])
      await checkAccess(phone)
    }
    await phone.context().close()
  })

  test('lists have columns; on a phone each row is a card, and what is in it stands in lines that can be read', async () => {
    const { ada, base, openPage } = visited
    const phone = await openPage({
      viewport: { width: 360, height: 740 },
      storageState: await ada.context().storageState(),
    })
    const lists = [
      ['/people', 'Accounts', ['Name', 'Role', 'Second factor', 'Since', 'Actions']],
      ['/people', 'Tokens', ['Name', 'Role', 'Created', 'Last used', 'Expires', 'Actions']],
      ['/history', 'Versions', ['Version', 'Message', 'Kind', 'By', 'When', 'Actions']],
    ] as const
    await call(ada, 'POST', '/tokens', { name: 'the-pipeline-that-builds-the-shop', role: 'reporter' })
    for (const [path, name, heads] of lists) {
      await ada.goto(base + path)
      const table = ada.getByRole('table', { name })
      await table.waitFor()
      expect(await table.getByRole('columnheader').allTextContents()).toEqual(heads)
      const tops = (box: { y: number } | null) => Math.round(box?.y ?? -1)
      const row = table.getByRole('row').nth(1)
      const cells = await row.getByRole('cell').all()
      expect(new Set(await Promise.all(cells.map(async (cell) => tops(await cell.boundingBox())))).size).toBe(1)

      await phone.goto(base + path)
      const card = phone.getByRole('table', { name }).getByRole('row').nth(1)
      await card.waitFor()
      const named = await phone.evaluate(
        `[...document.querySelectorAll('[aria-label=${name}] tbody tr:first-child td[data-head]')]
          .map((cell) => JSON.parse(getComputedStyle(cell, '::before').content))`,
      )
      expect(named).toEqual(heads.slice(1, -1))
      // A name that is squeezed beside its buttons has a letter or two in a line.
      expect((await card.getByRole('rowheader').boundingBox())?.height).toBeLessThan(40)
    }
    await phone.context().close()
  })

  test('the code has the height of the window on a desktop, and stays beside the settings that are scrolled', async () => {
    const { ada, base } = visited
    await ada.goto(base + pathOf(PLUGIN))
    await ada.locator('.cm-content').waitFor()
    expect((await ada.locator('.cm-content').boundingBox())?.height).toBeGreaterThan(400)
    await ada.getByRole('heading', { name: 'Try this code' }).scrollIntoViewIfNeeded()
    expect(await ada.evaluate('scrollY')).toBeGreaterThan(100)
    const { y = -1 } = (await ada.locator('.cm-content').boundingBox()) ?? {}
    expect(y).toBeGreaterThan(0)
  })

  test('has the colours that somebody chose, from its first moment on', async () => {
    const { ada, base } = visited
    await ada.emulateMedia({ colorScheme: 'light' })
    await ada.goto(base)
    const background = () => ada.evaluate('getComputedStyle(document.body).backgroundColor')
    const light = await background()
    await ada.emulateMedia({ colorScheme: 'dark' })
    const dark = await background()
    expect(dark).not.toBe(light)
    await ada.getByRole('button', { name: 'Colours: system; change to light' }).click()
    expect(await background()).toBe(light)
    await ada.reload({ waitUntil: 'commit' })
    await expect.poll(background).toBe(light)
    await ada.getByRole('button', { name: 'Colours: light; change to dark' }).click()
    await ada.emulateMedia({ colorScheme: 'light' })
    expect(await background()).toBe(dark)
    await ada.getByRole('button', { name: 'Colours: dark; change to system' }).click()
    expect(await background()).toBe(light)
  })

  test('is used by keyboard alone: from the first link to a plugin that is changed and saved', async () => {
    const { ada, base } = visited
    await ada.goto(base)
    await ada.getByRole('link', { name: /^cors/ }).waitFor()
    const name = () =>
      ada.evaluate(
        'document.activeElement.ariaLabel ?? document.activeElement.textContent ?? document.activeElement.id',
      )
    const tabTo = async (wanted: RegExp) => {
      for (let times = 0; times < 60; times += 1) {
        await ada.keyboard.press('Tab')
        if (wanted.test(String(await name()))) return
      }
      throw new Error(`Tab does not lead to ${wanted}`)
    }
    await ada.keyboard.press('Tab')
    expect(await name()).toBe('Skip to content')
    await ada.keyboard.press('Enter')
    await tabTo(/^cors/)
    await ada.keyboard.press('Enter')
    await ada.locator('.cm-content').waitFor()
    await tabTo(/^Move…/)
    await tabTo(/^Shadow$/)
    await tabTo(/^Split into variants…/)
    await ada.keyboard.press('Tab')
    await ada.keyboard.type("log('by keyboard')\n")
    await ada.getByText('Not saved', { exact: true }).waitFor()
    await ada.keyboard.press('Control+s')
    await ada.getByText('Saved in the change set').waitFor()
    // Tab indents in the code; Escape before it leaves.
    await ada.keyboard.press('Escape')
    await ada.keyboard.press('Tab')
    await expect.poll(() => ada.evaluate('document.activeElement.type')).toBe('checkbox')
  })

  test('keeps what it shows while the studio cannot be reached, and goes on when it can', async () => {
    const { ada, base, start, stop } = visited
    await ada.goto(base)
    await ada.getByRole('link', { name: /^cors/ }).waitFor()
    await stop()
    await ada.getByText('The studio cannot be reached.').waitFor()
    expect(await ada.getByRole('link', { name: /^cors/ }).count()).toBe(1)
    await checkAccess(ada)
    await ada.getByRole('link', { name: 'History' }).click()
    await ada.getByText('The studio cannot be reached. What you typed is kept').waitFor()
    await start()
    await ada.getByRole('button', { name: 'Try again' }).click()
    await ada.getByText('CORS for the shop').waitFor()
    await ada.getByText('The studio cannot be reached.').waitFor({ state: 'detached' })
  })
})
