import { Secret, TOTP } from 'otpauth'
import { expect, test } from 'vitest'
import {
  checkAccess,
  describePages,
  invite,
  joinBy,
  measureOverflow,
  PASSWORD,
  photograph,
  startVisited,
} from './browser.ts'

describePages('a second factor', () => {
  const visited = startVisited()

  test('is turned on, asked for, and removed from who has lost it', async () => {
    const { ada, base, openPage } = visited
    const bob = await openPage()
    await joinBy(bob, await invite(ada, 'author'), 'bob')
    await bob.getByLabel('Signed in as bob').click()
    await bob.getByRole('button', { name: 'Second factor…' }).click()
    const dialog = bob.getByRole('dialog')
    await dialog.getByLabel('Your password').fill('wrong')
    await dialog.getByRole('button', { name: 'Continue' }).click()
    await dialog.getByText('Is not your password').waitFor()
    await dialog.getByLabel('Your password').fill(PASSWORD)
    await dialog.getByRole('button', { name: 'Continue' }).click()
    const key = (await dialog.locator('.key').textContent()) ?? ''
    await checkAccess(bob)
    await photograph(bob, 'second-factor')
    for (const width of [360, 768, 1280]) {
      await bob.setViewportSize({ width, height: 800 })
      expect(await measureOverflow(bob)).toBe(0)
    }
    const totp = new TOTP({ secret: Secret.fromBase32(key.replaceAll(' ', '')) })
    await dialog.getByLabel('Code', { exact: true }).fill('000000')
    await dialog.getByRole('button', { name: 'Turn on' }).click()
    await dialog.getByText('Is wrong, or was already used').waitFor()
    await dialog.getByLabel('Code', { exact: true }).fill(totp.generate())
    await dialog.getByRole('button', { name: 'Turn on' }).click()
    await expect.poll(() => dialog.getByRole('listitem').count()).toBe(10)
    const [recovery = ''] = await dialog.getByRole('listitem').allInnerTexts()
    await checkAccess(bob)
    await dialog.getByRole('button', { name: 'I have stored them' }).click()

    const signOut = async () => {
      await bob.getByLabel('Signed in as bob').click()
      await bob.getByRole('button', { name: 'Sign out' }).click()
      await bob.getByLabel('Name').fill('bob')
      await bob.getByLabel('Password').fill(PASSWORD)
      await bob.getByRole('button', { name: 'Sign in' }).click()
    }
    await signOut()
    await bob.getByLabel('Code', { exact: true }).waitFor()
    expect(await bob.locator('.problem').count()).toBe(0)
    await checkAccess(bob)
    await bob.getByLabel('Code', { exact: true }).fill('123')
    await bob.getByRole('button', { name: 'Sign in' }).click()
    await bob.locator('.problem').getByText('Is wrong').waitFor()
    await bob.getByLabel('Code', { exact: true }).fill(recovery)
    await bob.getByRole('button', { name: 'Sign in' }).click()
    await bob.getByRole('heading', { level: 1, name: 'Plugins' }).waitFor()

    await ada.goto(`${base}/people`)
    await ada.getByRole('button', { name: 'Second factor of bob' }).click()
    await checkAccess(ada)
    await ada.getByRole('dialog').getByRole('button', { name: 'Remove' }).click()
    await ada.getByText('bob now signs in with the password alone').waitFor()
    await signOut()
    await bob.getByRole('heading', { level: 1, name: 'Plugins' }).waitFor()
    await bob.context().close()
  })
})
