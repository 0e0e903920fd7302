import { expect, test } from 'vitest'
import {
  change,
  checkAccess,
  describePages,
  measureOverflow,
  photograph,
  publish,
  readLive,
  startVisited,
} from './browser.ts'

describePages('actions', () => {
  const visited = startVisited()

  test('an address is blocked for an hour by thumb on a phone, in three taps and what is typed', async () => {
    const { ada, base, openPage } = visited
    const phone = await openPage({
      viewport: { width: 390, height: 844 },
      hasTouch: true,
      storageState: await ada.context().storageState(),
    })
    await phone.goto(base)
    let taps = 0
    const tap = async (role: 'link' | 'button', name: string | RegExp) => {
      const target = phone.getByRole(role, { name, exact: typeof name === 'string' })
      const box = await target.boundingBox()
      // What a thumb hits.
      expect(box?.height, String(name)).toBeGreaterThanOrEqual(36)
      await target.tap()
      taps += 1
    }
    await phone.getByRole('link', { name: 'Actions', exact: true }).waitFor()
    await tap('link', 'Actions')
    await phone.getByRole('button', { name: /^Block an address/ }).waitFor()
    await checkAccess(phone)
    await tap('button', /^Block an address/)
    // The field has the focus: the keyboard is there.
    await phone.locator('input:focus').waitFor()
    await phone.keyboard.type('192.0.2.7')
    await checkAccess(phone)
    await photograph(phone, 'block')
    await tap('button', 'Block now')
    await phone.getByText('Version 1 is live', { exact: true }).waitFor()
    expect(taps).toBe(3)
    const [domain] = (await readLive(ada)).domains
    expect(domain).toMatchObject({ name: '*', plugins: [{ name: 'block 192.0.2.7', when: { ips: '192.0.2.7' } }] })
    expect(await measureOverflow(phone)).toBe(0)
    await phone.context().close()
  })

  test('all that is wrong is said beside its field, and nothing typed is lost', async () => {
    const { ada, base } = visited
    await ada.goto(`${base}/actions`)
    await ada.getByRole('button', { name: /^Redirect/ }).click()
    const dialog = ada.getByRole('dialog', { name: 'Redirect' })
    await dialog.getByLabel('From').fill('old')
    await dialog.getByRole('button', { name: 'Redirect now' }).click()
    await expect.poll(() => dialog.getByText(/^Expected a path such as/).count()).toBe(2)
    expect(await dialog.getByLabel('From').inputValue()).toBe('old')
    await checkAccess(ada)
    await dialog.getByLabel('From').fill('/old')
    await dialog.getByLabel('To').fill('/new')
    await dialog.getByRole('button', { name: 'Redirect now' }).click()
    await ada.getByText('Version 2 is live', { exact: true }).waitFor()
    for (const width of [390, 768, 1280]) {
      await ada.setViewportSize({ width, height: 800 })
      expect(await measureOverflow(ada)).toBe(0)
    }
    await photograph(ada, 'actions')
  })

  test('a plugin that is live is kept as a template, and made anew', async () => {
    const { ada, base } = visited
    await ada.goto(`${base}/actions`)
    await ada.getByText('Templates of your own').click()
    await ada.getByLabel('Find a plugin that is live').fill('redirect')
    await ada.getByLabel('Title').fill('Move a page')
    await ada.getByRole('button', { name: 'Keep as a template' }).click()
    await ada.getByRole('button', { name: /^Move a page/ }).click()
    const dialog = ada.getByRole('dialog', { name: 'Move a page' })
    await dialog.getByLabel('to', { exact: true }).fill('/newer')
    await dialog.getByRole('button', { name: 'Make it now' }).click()
    await ada.getByText('Version 3 is live', { exact: true }).waitFor()
    await checkAccess(ada)
  })

  test('what has expired is said, and one tap puts the removal of all of it into a change set', async () => {
    const { ada, base, openPage } = visited
    const fields = { code: "ctx.set('X-A', '1')", expires_at: '2020-01-01T00:00:00Z' }
    const old = ['banner', 'sale'].map((name) => ({ domain: '*', name, phase: 'header_filter', fields }))
    await change(ada, ...old)
    await publish(ada, 'What has long ended')
    const phone = await openPage({
      viewport: { width: 390, height: 844 },
      hasTouch: true,
      storageState: await ada.context().storageState(),
    })
    await phone.goto(base)
    await phone.getByText(/^2 plugins have expired, the last one \d+ yr\. ago\. They no longer run\.$/).waitFor()
    await phone
      .getByRole('link', { name: /^banner/ })
      .getByText(/^expired \d+ yr\. ago$/)
      .waitFor()
    expect(await measureOverflow(phone)).toBe(0)
    await checkAccess(phone)
    await phone.getByRole('button', { name: 'Remove all 2' }).tap()
    await phone.getByText('2 plugins are removed in the change set').waitFor()
    await phone.getByRole('link', { name: 'Review and publish' }).tap()
    await phone.getByText('2 differences from version').waitFor()
    await phone.getByText(/plugins have expired/).waitFor({ state: 'detached' })
    await phone.context().close()
    const names = async () =>
      (await readLive(ada)).domains.flatMap(({ plugins }: { plugins: { name: string }[] }) =>
        plugins.map(({ name }) => name),
      )
    const before = await names()
    expect(before).toEqual(expect.arrayContaining(['banner', 'sale']))
    await publish(ada, 'Removed what has expired')
    // What still runs stays.
    expect(await names()).toEqual(before.filter((name: string) => name !== 'banner' && name !== 'sale'))
  })
})
