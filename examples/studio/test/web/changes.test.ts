import type { BrowserContextOptions, Page } from 'playwright-core'
import { beforeAll, expect, test } from 'vitest'
import {
  call,
  change,
  checkAccess,
  describePages,
  invite,
  joinBy,
  measureOverflow,
  pathOf,
  publish,
  readLive,
  save,
  startVisited,
  write,
} from './browser.ts'

const PLUGIN = {
  domain: 'shop.example.com',
  name: 'cors',
  phase: 'header_filter',
  fields: { code: "ctx.set('X-A', '1')" },
}

describePages.each<[string, BrowserContextOptions]>([
  ['on a desktop', { viewport: { width: 1280, height: 800 } }],
  ['on a phone', { viewport: { width: 390, height: 844 }, hasTouch: true }],
])('change sets, %s', (_, screen) => {
  const visited = startVisited()
  let ada: Page
  let bob: Page

  beforeAll(async () => {
    await change(visited.ada, PLUGIN)
    await publish(visited.ada, 'CORS for the shop')
    const link = await invite(visited.ada, 'author')
    ada = await visited.openPage({ ...screen, storageState: await visited.ada.context().storageState() })
    await ada.goto(visited.base)
    bob = await visited.openPage(screen)
    await joinBy(bob, link, 'bob')
  })
  const look = async (page: Page) => {
    expect(await measureOverflow(page)).toBe(0)
    await checkAccess(page)
  }
  const code = (page: Page) => page.locator('.cm-content')

  test('the first change starts one; what is half written keeps nobody else from publishing', async () => {
    await bob.getByRole('link', { name: /^cors.*live: 100 %/ }).click()
    await bob.getByText(/^100 %, since version 1, .* by ada$/).waitFor()
    await code(bob).waitFor()
    await write(bob, "ctx.set('X-A', '1'")
    await bob.keyboard.press('Control+s')
    await bob.getByText('A change set was started. It goes live when you publish it.').waitFor()
    await bob.getByText('changes it: 100 %').waitFor()
    await look(bob)

    // From its page, one plugin is live in a few clicks.
    await ada.goto(visited.base)
    await ada.getByRole('link', { name: 'shop.example.com' }).first().click()
    await ada.getByRole('link', { name: 'New plugin' }).click()
    await ada.getByLabel('Name', { exact: true }).fill('block')
    await ada.getByLabel('Phase').selectOption('access')
    await write(ada, 'exit(403)')
    await ada.keyboard.press('Control+s')
    await ada.getByText('adds it: 100 %').waitFor()
    await ada.getByRole('button', { name: 'Publish…' }).click()
    const dialog = ada.getByRole('dialog')
    await dialog.getByRole('row', { name: 'on_failure open' }).waitFor()
    await look(ada)
    await dialog.getByRole('button', { name: 'Publish', exact: true }).click()
    await ada.getByText('Version 2 is live', { exact: true }).waitFor()
    await ada.getByText(/^100 %, since version 2, .* by ada$/).waitFor()
    expect((await readLive(ada)).domains[0].plugins.map(({ name }: { name: string }) => name)).toEqual([
      'cors',
      'block',
    ])
    await bob.getByRole('link', { name: 'Review and publish' }).click()
    await bob.getByText('1 error prevents publishing').waitFor()
    await bob.getByText('1 difference from version 2, which is live').waitFor()
    await look(bob)
  })

  test('is proposed, talked about, and published by a publisher; the list says what became of it', async () => {
    await bob.getByRole('link', { name: 'cors', exact: true }).click()
    await code(bob).waitFor()
    await write(bob, "ctx.set('X-A', 'bob')")
    await bob.keyboard.press('Control+s')
    await bob.getByText('Saved in the change set').waitFor()
    await bob.getByRole('link', { name: 'Review and publish' }).click()
    await bob.getByLabel('Message: what changes, and why').fill('A is bob')
    await bob.getByRole('button', { name: 'Propose version 3' }).click()
    await bob.getByText('waiting for approval').first().waitFor()
    await ada.getByRole('link', { name: 'Changes 1 waiting for approval' }).click()
    await look(ada)
    await ada.getByRole('link', { name: /^cors.*bob.*waiting for approval/ }).click()
    await ada.getByText("+ ctx.set('X-A', 'bob')").first().waitFor()
    await ada.getByLabel('Comment', { exact: true }).fill('Fine.')
    await ada.getByRole('button', { name: 'Comment', exact: true }).click()
    await bob.getByText('Fine.').waitFor()
    await look(ada)
    await ada.getByRole('button', { name: 'Approve and publish version 3' }).click()
    await ada.getByText('Version 3 is live', { exact: true }).waitFor()
    await ada.getByText('It went live as version 3.').waitFor()
    const pages = ada.getByRole('navigation', { name: 'Pages' })
    await pages.getByRole('link', { name: 'Changes', exact: true }).waitFor()
    await bob.goto(`${visited.base}/changes`)
    await bob.getByRole('link', { name: /^cors.*published as version 3/ }).waitFor()
  })

  test('what was rolled back is marked, is not offered as new, and is opened again', async () => {
    await call(ada, 'POST', '/versions/2/rollback')
    await bob.getByRole('link', { name: /^cors.*rolled back by version 4/ }).waitFor()
    expect(await bob.getByText('No change set is open.').count()).toBe(1)
    await look(bob)
    await bob.getByRole('link', { name: /^cors.*rolled back by version 4/ }).click()
    await bob.getByRole('button', { name: 'Open again as a new change set' }).click()
    await bob.getByText('1 difference from version 4, which is live').waitFor()
    await bob.getByRole('button', { name: 'Discard the change of cors' }).click()
    await bob.getByText('It changes nothing yet.').waitFor()
    await bob.getByRole('button', { name: 'Discard all…' }).click()
    await bob.getByRole('dialog').getByRole('button', { name: 'Discard' }).click()
    await bob.getByText('No change set is open.').waitFor()
  })

  test('a conflict with what went live is shown field by field, and resolved there', async () => {
    const mine = await save(bob, { ...PLUGIN, fields: { code: "ctx.set('X-A', 'mine')", priority: 1 } })
    const theirs = await save(ada, {
      ...PLUGIN,
      fields: { code: "ctx.set('X-A', '1')", priority: 2, on_failure: 'closed' },
    })
    const { base, revision } = await call<{ base: number; revision: number }>(ada, 'GET', `/sets/${theirs}/review`)
    await call(ada, 'POST', `/sets/${theirs}/publish`, { message: 'closed', base, revision })
    await bob.goto(`${visited.base}/changes/${mine}`)
    await bob.getByText('1 conflict with what went live').waitFor()
    await bob.getByText('conflict: priority').waitFor()
    expect(await bob.getByRole('button', { name: /^Propose version/ }).isDisabled()).toBe(true)
    await look(bob)
    await bob.getByRole('link', { name: 'cors', exact: true }).click()
    await bob.getByText('What went live conflicts with this change set').waitFor()
    await look(bob)
    await bob
      .getByRole('row', { name: /^priority/ })
      .getByRole('radio')
      .first()
      .check()
    await bob.getByRole('button', { name: 'Save the chosen fields' }).click()
    await bob.getByText('What went live conflicts with this change set').waitFor({ state: 'detached' })
    const { fields } = await call<{ fields: object }>(bob, 'GET', pathOf(PLUGIN, mine))
    expect(fields).toEqual({ code: "ctx.set('X-A', 'mine')", priority: 2, on_failure: 'closed' })
    await bob.getByRole('link', { name: 'Review and publish' }).click()
    await bob.getByRole('button', { name: /^Propose version/, disabled: false }).waitFor()
  })

  test('the list shows what is live beside what the change set makes of it', async () => {
    const set = await save(ada, { ...PLUGIN, fields: { code: "ctx.set('X-A', '1')", rollout: { percent: 10 } } })
    await save(ada, { ...PLUGIN, name: 'block', phase: 'access', fields: { code: 'exit(401)' } }, set)
    await ada.goto(`${visited.base}/?set=${set}`)
    await ada.getByRole('link', { name: /^cors.*live: 100 %.*changed: 10 %/ }).waitFor()
    await look(ada)
    await ada.getByRole('link', { name: /^cors/ }).click()
    const steps = ada.getByRole('group', { name: 'Rollout' })
    await steps.getByRole('button', { name: '100 %', pressed: true }).waitFor()
    await steps.getByRole('button', { name: '10 % in this change set', pressed: false }).waitFor()
    await look(ada)
    // One of two changes goes live alone; the other one stays.
    await ada.getByRole('button', { name: 'Publish…' }).click()
    await ada.getByText('This change set has 1 more change.').waitFor()
    await ada.getByRole('button', { name: 'This plugin alone' }).click()
    await ada
      .getByRole('dialog')
      .getByRole('row', { name: /^rollout.percent/ })
      .waitFor()
    await ada.getByRole('dialog').getByRole('button', { name: 'Publish', exact: true }).click()
    await steps.getByRole('button', { name: '10 %', exact: true, pressed: true }).waitFor()
    const [cors, block] = (await readLive(ada)).domains[0].plugins
    expect([cors.rollout, block.code]).toEqual([{ percent: 10 }, 'exit(403)'])
  })
})
