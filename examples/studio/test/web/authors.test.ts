import { beforeAll, expect, test } from 'vitest'
import {
  addPlugin,
  call,
  checkAccess,
  describePages,
  invite,
  joinBy,
  photograph,
  startVisited,
  write,
} from './browser.ts'

describePages('two authors', () => {
  const visited = startVisited()

  let path = ''
  beforeAll(async () => {
    path = await addPlugin(visited.ada, "ctx.set('Access-Control-Allow-Origin', '*')")
  })

  test('see both versions where both have changed a plugin, and lose neither', async () => {
    const { ada, openPage } = visited
    const bob = await openPage()
    await joinBy(bob, await invite(ada, 'author'), 'bob')
    expect(await bob.getByRole('button', { name: 'Kill switch' }).count()).toBe(0)
    expect(await bob.getByRole('link', { name: 'People' }).count()).toBe(0)

    await bob.goto(visited.base + path)
    await bob.locator('.cm-content').waitFor()
    await ada.goto(bob.url())
    await write(ada, "ctx.set('X-By', 'ada')")
    await bob.getByLabel('Priority').fill('7')
    await write(bob, "ctx.set('X-By', 'bob')")
    await ada.keyboard.press('Control+s')
    await ada.getByText('Saved in the change set').waitFor()
    await bob.getByText('Someone else saved this plugin in the meantime.').waitFor()
    await bob.keyboard.press('Control+s')
    await bob.getByText('Someone else saved this plugin while you were editing it').waitFor()
    await bob.locator('.cm-merge-a').getByText('ada').waitFor()
    await photograph(bob, 'conflict')
    await checkAccess(bob)
    await bob.getByRole('button', { name: 'Save the chosen fields' }).click()
    await bob.getByText('Saved in the change set').waitFor()
    // Who only looks sees what came of it.
    await expect.poll(() => ada.locator('.cm-content').textContent()).toBe("ctx.set('X-By', 'bob')")
    expect(await ada.getByLabel('Priority').inputValue()).toBe('7')
    await bob.context().close()
  })

  test('are told when what they work on was removed, and keep what they typed', async () => {
    const { ada, base } = visited
    await ada.goto(base + path)
    await write(ada, "log('typed')")
    const { set, revision } = await call<{ set: number; revision: string }>(ada, 'GET', path)
    const key = { domain: 'shop.example.com', name: 'cors', phase: 'header_filter' }
    await call(ada, 'DELETE', `/sets/${set}/plugins`, { key, revision })
    await ada.keyboard.press('Control+s')
    await ada.getByText('There is no such plugin; someone may have removed it').first().waitFor()
    expect(await ada.locator('.cm-content').textContent()).toBe("log('typed')")
  })
})
