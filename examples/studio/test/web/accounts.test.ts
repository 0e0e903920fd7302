import { beforeAll, expect, test } from 'vitest'
import {
  addPlugin,
  checkAccess,
  describePages,
  invite,
  joinBy,
  PASSWORD,
  photograph,
  startVisited,
  write,
} from './browser.ts'

describePages('accounts', () => {
  const visited = startVisited()
  let plugin = ''

  beforeAll(async () => {
    plugin = await addPlugin(visited.ada, "ctx.set('X-A', '1')")
  })

  test('have passwords of 12 characters at least', async () => {
    const { ada, openPage } = visited
    const eve = await openPage()
    await eve.goto(await invite(ada, 'author'))
    await eve.getByLabel('Name').fill('eve')
    await eve.getByLabel('Password').fill('too short')
    await eve.getByRole('button', { name: 'Join' }).click()
    expect(await eve.evaluate("document.querySelector('[type=password]').validity.tooShort")).toBe(true)
    await eve.context().close()
  })

  test('of viewers see everything and can change nothing', async () => {
    const { ada, base, openPage } = visited
    const vic = await openPage()
    await joinBy(vic, await invite(ada, 'viewer'), 'vic')
    for (const name of ['Kill switch', 'New domain']) expect(await vic.getByRole('button', { name }).count()).toBe(0)
    await vic.goto(base + plugin)
    await vic.locator('.cm-content').waitFor()
    expect(await vic.getByLabel('Name', { exact: true }).isDisabled()).toBe(true)
    for (const name of ['Save', 'Remove…']) expect(await vic.getByRole('button', { name }).count()).toBe(0)
    await vic.goto(`${base}/changes/${new URL(base + plugin).searchParams.get('set')}`)
    await vic.getByText('Only a publisher can publish this.').waitFor()
    await vic.goto(`${base}/people`)
    await vic.getByText('Page not found').waitFor()

    // A change of the role holds at once.
    await ada.goto(`${base}/people`)
    await ada.getByLabel('Role of vic').selectOption('author')
    await ada.getByText('vic was changed').waitFor()
    await vic.goto(base)
    await vic.getByRole('button', { name: 'New domain' }).waitFor()
    await photograph(ada, 'people')

    await ada.getByRole('button', { name: 'Block vic' }).click()
    await ada.getByRole('dialog').getByRole('button', { name: 'Block' }).click()
    await ada.getByText('blocked', { exact: true }).waitFor()
    // Nothing has to be clicked to see it.
    await vic.getByRole('button', { name: 'Sign in' }).waitFor()
    await vic.context().close()
  })

  test('make tokens for programs, whose secrets are shown once', async () => {
    const { ada, base } = visited
    await ada.goto(`${base}/people`)
    const tokens = ada.getByRole('region', { name: 'Tokens' })
    await tokens.getByLabel('Name').fill('CI')
    await tokens.getByLabel('Role').selectOption('viewer')
    await tokens.getByRole('button', { name: 'Create a token' }).click()
    const secret = await tokens.getByLabel('Secret').inputValue()
    const read = () => fetch(`${base}/api/versions`, { headers: { authorization: `Bearer ${secret}` } })
    expect((await read()).status).toBe(200)
    await checkAccess(ada)
    await ada.reload()
    await ada.getByText('CI', { exact: true }).waitFor()
    expect(await ada.content()).not.toContain(secret)
    await ada.getByRole('button', { name: 'Revoke CI' }).click()
    await ada.getByRole('dialog').getByRole('button', { name: 'Revoke' }).click()
    await ada.getByText('CI was revoked').waitFor()
    expect((await read()).status).toBe(401)
  })

  test('get another password: from who knows the old one, and by a link for who has forgotten it', async () => {
    const { ada, base, openPage } = visited
    const bob = await openPage()
    await joinBy(bob, await invite(ada, 'author'), 'bob')
    await bob.getByLabel('Signed in as bob').click()
    await bob.getByRole('button', { name: 'Change password…' }).click()
    await bob.getByLabel('Current password').fill('wrong')
    await bob.getByLabel('New password').fill('another battery staple')
    await checkAccess(bob)
    await bob.getByRole('button', { name: 'Change', exact: true }).click()
    await bob.getByRole('dialog').locator('.problem, .notice').first().waitFor()
    await bob.getByLabel('Current password').fill(PASSWORD)
    await bob.getByRole('button', { name: 'Change', exact: true }).click()
    await bob.getByText('Password changed').waitFor()

    await ada.goto(`${base}/people`)
    await ada.getByRole('button', { name: 'New password for bob' }).click()
    const link = await ada.getByRole('region', { name: 'Accounts' }).getByLabel('Secret').inputValue()
    await bob.goto(link)
    await bob.getByText('Choose a new password, bob').waitFor()
    await checkAccess(bob)
    await bob.getByLabel('Password').fill('a third battery staple')
    await bob.getByRole('button', { name: 'Set the password' }).click()
    await bob.getByRole('heading', { level: 1, name: 'Plugins' }).waitFor()
    await bob.context().close()
  })

  test('are asked for again when a session has ended, and find what they had typed', async () => {
    const { ada, base } = visited
    await ada.goto(base + plugin)
    await write(ada, "log('late at night')")
    const beside = await ada.context().newPage()
    await beside.goto(base)
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
    await ada.getByText('Your unsaved changes were restored.').waitFor()
    await expect.poll(() => ada.locator('.cm-content').textContent()).toBe("log('late at night')")
  })
})
