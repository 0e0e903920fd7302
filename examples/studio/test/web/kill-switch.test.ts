import { beforeAll, expect, test } from 'vitest'
import {
  call,
  change,
  checkAccess,
  describePages,
  pathOf,
  photograph,
  publish,
  readLive,
  startVisited,
} from './browser.ts'

const PLUGIN = {
  domain: 'shop.example.com',
  name: 'cors',
  phase: 'header_filter',
  fields: { code: "ctx.set('X-A', '1')" },
}

describePages('the kill switch', () => {
  const visited = startVisited()

  beforeAll(async () => {
    const { ada } = visited
    await change(ada, PLUGIN)
    await publish(ada, 'CORS for the shop')
  })

  test('switches everything off and on again, on a phone in the dark', async () => {
    const { ada, base, openPage } = visited
    const phone = await openPage({
      viewport: { width: 390, height: 844 },
      colorScheme: 'dark',
      hasTouch: true,
      storageState: await ada.context().storageState(),
    })
    await phone.goto(base)
    await phone.getByRole('button', { name: 'Kill switch' }).tap()
    await phone.getByRole('dialog').getByText('shop.example.com').first().waitFor()
    await photograph(phone, 'kill-switch')
    await checkAccess(phone)
    for (const button of await phone.getByRole('dialog').getByRole('button').all()) {
      // What a thumb hits (WCAG 2.5.8 asks for 24 px at least).
      const box = await button.boundingBox()
      expect(box?.height).toBeGreaterThanOrEqual(38)
    }
    await phone.getByRole('button', { name: 'Switch everything off' }).tap()
    await phone.getByRole('button', { name: 'Switch off', exact: true }).tap()
    await phone.getByText('Everything is switched off.').waitFor()
    expect((await readLive(ada)).general.status).toBe('disabled')
    // Every open page says so.
    await ada.getByText('Everything is switched off.').waitFor()
    await checkAccess(ada)
    await phone.getByRole('button', { name: 'Switch on again…' }).tap()
    await phone.getByRole('button', { name: 'Switch everything on again' }).tap()
    await phone.getByRole('button', { name: 'Switch on', exact: true }).tap()
    await phone.getByText('Everything is switched off.').waitFor({ state: 'detached' })
    expect((await readLive(ada)).general.status ?? 'enabled').toBe('enabled')
    await phone.context().close()
  })

  test('switches one plugin off from its page, without what is open', async () => {
    const { ada, base } = visited
    await ada.goto(base)
    await ada.getByRole('link', { name: /^cors/ }).click()
    await ada.getByRole('button', { name: 'Switch off…' }).click()
    await ada.getByRole('dialog').getByRole('button', { name: 'Switch off', exact: true }).click()
    await ada.getByText(/^cors in shop.example.com was switched off/).waitFor()
    const [plugin] = (await readLive(ada)).domains[0].plugins
    expect(plugin).toMatchObject({ enabled: false, code: PLUGIN.fields.code })
    await ada.getByText('off', { exact: true }).first().waitFor()
  })

  test('finds what is live, whatever change sets call it', async () => {
    const { ada, base } = visited
    const { revision } = await call<{ revision: string }>(ada, 'GET', pathOf(PLUGIN))
    const { domain, name: cors, phase, fields } = PLUGIN
    const body = { key: { domain, name: cors, phase }, plugin: { name: 'renamed', phase, fields }, revision }
    await call(ada, 'PUT', '/sets/new/plugins', body)
    await ada.goto(base)
    await ada.getByRole('button', { name: 'Kill switch' }).click()
    const search = ada.getByLabel('Find a domain or plugin that is live')
    await search.fill('renam')
    await ada.getByText('Nothing live has that name.').waitFor()
    await search.fill('cor')
    await ada.getByText('shop.example.com · header_filter').waitFor()
    // It was switched off above.
    expect(await ada.getByRole('button', { name: 'Switch off cors' }).count()).toBe(0)
    await ada.getByRole('button', { name: 'Switch on cors' }).click()
    await ada.getByRole('button', { name: 'Switch on', exact: true }).click()
    await ada.getByText(/^cors in shop.example.com was switched on/).waitFor()
    const { name, enabled } = (await readLive(ada)).domains[0].plugins[0]
    expect([name, enabled]).toEqual(['cors', undefined])
  })

  test('is reached, and thrown, by keyboard alone', async () => {
    const { ada, base } = visited
    await ada.goto(base)
    await ada.getByRole('button', { name: 'Kill switch' }).focus()
    await ada.keyboard.press('Enter')
    await ada.getByRole('button', { name: 'Switch everything off' }).focus()
    await ada.keyboard.press('Enter')
    // The button that does it has the focus.
    await ada.getByRole('dialog', { name: 'Switch off everything?' }).waitFor()
    const focused = () => ada.evaluate('document.activeElement.textContent')
    await expect.poll(focused).toBe('Switch off')
    await ada.keyboard.press('Escape')
    await expect.poll(focused).toBe('Kill switch')
    expect(await ada.locator('dialog').count()).toBe(0)
    // A browser closes without asking what it was not let to do before.
    await ada.keyboard.press('Enter')
    await ada.getByRole('dialog', { name: 'Kill switch' }).waitFor()
    await ada.evaluate("document.querySelector('dialog').close()")
    await expect.poll(() => ada.locator('dialog').count()).toBe(0)
    await expect.poll(focused).toBe('Kill switch')
  })
})
