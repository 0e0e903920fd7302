import { expect, test } from 'vitest'
import {
  change,
  checkAccess,
  describePages,
  invite,
  joinBy,
  measureOverflow,
  photograph,
  publish,
  readLive,
  startVisited,
} from './browser.ts'

const SIZES = [
  ['desktop', { width: 1280, height: 800 }],
  ['phone', { width: 390, height: 844 }],
] as const

describePages('from staging to production', () => {
  const staging = startVisited({ webhooks: { private_hosts: ['127.0.0.1'] } })
  const production = startVisited()

  test.each(SIZES)(
    'on a %s, a version is promoted, approved there by somebody else, and live',
    async (size, viewport) => {
      const { ada, base, openPage } = staging
      const name = `cors-${size}`
      await change(ada, {
        domain: 'shop.example.com',
        name,
        phase: 'header_filter',
        fields: { code: "ctx.set('X-A', '1')" },
      })
      await publish(ada, `CORS on a ${size}`)
      const page = await openPage({ viewport, storageState: await ada.context().storageState() })

      // In production somebody makes a token for an author.
      const there = await production.openPage({ viewport, storageState: await production.ada.context().storageState() })
      await there.goto(`${production.base}/people`)
      const tokens = there.getByRole('region', { name: 'Tokens' })
      await tokens.getByLabel('Name').fill(`staging on a ${size}`)
      await tokens.getByLabel('Role').selectOption('author')
      await tokens.getByRole('button', { name: 'Create a token' }).click()
      const token = await tokens.getByLabel('Secret').inputValue()

      await page.goto(`${base}/environments`)
      const form = page.getByRole('region', { name: 'Add an environment' })
      await form.getByRole('button', { name: 'Add environment' }).click()
      // All that is wrong is named at once.
      await expect.poll(() => form.locator('.problem').count()).toBe(3)
      await form.getByLabel('Name').fill(`Production (${size})`)
      await form.getByLabel('Address').fill(production.base)
      await form.getByLabel('Token of an author there').fill(token)
      await form.getByRole('button', { name: 'Add environment' }).click()
      const card = page.getByRole('region', { name: `Production (${size})`, exact: true })
      await card.getByLabel('What changes, and why').fill(`CORS, tried on a ${size}`)
      await checkAccess(page)
      expect(await measureOverflow(page)).toBe(0)
      if (size === 'desktop') await photograph(page, 'environments')
      await card.getByRole('button', { name: `Promote to Production (${size})` }).click()
      await card.getByText('a publisher there has to agree').waitFor()
      const link = await card.getByRole('link', { name: /^To Production/ }).getAttribute('href')
      expect(JSON.stringify(await readLive(there))).not.toContain(name)

      // The token is ada's there, too: another publisher has to look at it.
      const grace = await production.openPage({ viewport })
      await joinBy(grace, await invite(production.ada, 'publisher'), `grace-${size}`)
      await grace.goto(link as string)
      await grace.getByRole('heading', { level: 1, name: `CORS, tried on a ${size}` }).waitFor()
      await grace.getByRole('region', { name: 'Differences' }).getByText(name).first().waitFor()
      await checkAccess(grace)
      expect(await measureOverflow(grace)).toBe(0)
      await grace.getByRole('button', { name: /^Approve/ }).click()
      await grace.getByText(/^Version \d+ is live$/).waitFor()
      expect((await readLive(grace)).domains).toEqual((await readLive(page)).domains)

      // The same again says that there is nothing to do, in the words of the other studio.
      await card.getByLabel('What changes, and why').fill('again')
      await card.getByRole('button', { name: `Promote to Production (${size})` }).click()
      await card
        .getByRole('alert')
        .getByText(/^Production/)
        .waitFor()
      await card.getByRole('button', { name: 'Remove' }).click()
      await page.getByRole('dialog').getByRole('button', { name: 'Remove' }).click()
      await card.waitFor({ state: 'detached' })
      for (const each of [page, there, grace]) await each.context().close()
    },
  )
})
