import { afterAll, beforeAll, expect, test } from 'vitest'
import { readRoles } from '../../server/oidc/provider.ts'
import { CLIENT, type Provider, startProvider } from '../fixtures/provider.ts'
import { checkAccess, describePages, startVisited } from './browser.ts'

describePages('signing in by a provider', () => {
  let provider: Provider
  const oidc = {
    ...CLIENT,
    name: 'Example Inc.',
    scope: 'openid profile',
    role_claim: 'groups',
    roles: readRoles('author=dev'),
    link_email: false,
    issuer: '',
  }
  beforeAll(async () => {
    provider = await startProvider()
    oidc.issuer = provider.issuer
    provider.person = { sub: 'grace', name: 'Grace', groups: ['dev'] }
  })
  const visited = startVisited({ oidc })
  afterAll(() => provider.close())

  test('leads there and back to the page that somebody wanted, and out again', async () => {
    const { base, openPage } = visited
    const page = await openPage({ viewport: { width: 390, height: 844 } })
    await page.goto(`${base}/history`)
    await page.getByRole('link', { name: 'Sign in with Example Inc.' }).waitFor()
    await checkAccess(page)
    await page.getByRole('link', { name: 'Sign in with Example Inc.' }).click()
    await page.getByRole('heading', { level: 1, name: 'History' }).waitFor()
    await page.getByText('Grace').first().click()
    // Who has no password here has none to change.
    await page.getByRole('button', { name: 'Sign out' }).waitFor()
    expect(await page.getByRole('button', { name: 'Change password…' }).count()).toBe(0)
    await page.getByRole('button', { name: 'Sign out' }).click()
    provider.person = { sub: 'eve', name: 'Eve', groups: ['sales'] }
    await page.getByRole('link', { name: 'Sign in with Example Inc.' }).click()
    await page.getByText('The provider knows you, but you have no role here.').waitFor()
    await checkAccess(page)
    await page.context().close()
  })
})
