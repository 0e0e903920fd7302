import { beforeAll, expect, test } from 'vitest'
import { call, describePages, startVisited } from './browser.ts'

/** Of domains, and of plugins in each. */
const [DOMAINS, EACH] = [200, 50]
/** Lists show so many at once, and some more once somebody scrolls down. */
const MOST_SHOWN = 200

describePages('with 10,000 plugins', { timeout: 120_000 }, () => {
  const visited = startVisited()

  beforeAll(async () => {
    const domains = Array.from({ length: DOMAINS }, (_, domain) => ({
      name: `host-${domain}.example`,
      plugins: Array.from({ length: EACH }, (_, plugin) => ({
        name: `plugin-${domain}-${plugin}`,
        phase: 'header_filter',
        code: `ctx.set('X-Plugin-${plugin}', '${domain}')`,
      })),
    }))
    await call(visited.ada, 'POST', '/import', { document: { domains } })
    const { ada, base } = visited
    await ada.goto(`${base}/?set=1`)
    // From here on, this tab works in it.
    await ada.getByRole('link', { name: /^plugin-0-0 / }).waitFor()
  }, 120_000)

  test('lists show what is looked at, and more on scrolling', async () => {
    const { ada, base } = visited
    const answers: string[] = []
    const hear = (response: { url(): string }) => answers.push(new URL(response.url()).pathname)
    await ada.goto(base)
    await ada.getByRole('link', { name: /^plugin-0-0 / }).waitFor()
    const shown = ada.locator('.plugins > li')
    const first = await shown.count()
    expect(first).toBeLessThan(MOST_SHOWN)
    ada.on('response', hear)
    await shown.last().scrollIntoViewIfNeeded()
    await expect.poll(() => shown.count()).toBeGreaterThan(first)
    expect(await shown.count()).toBeLessThan(MOST_SHOWN)
    ada.off('response', hear)
    expect(answers).toEqual(['/api/plugins'])
    expect(await ada.locator('.domains > li').count()).toBeLessThan(MOST_SHOWN)
  })

  test('one of them is found by its name, and opens', async () => {
    const { ada, base } = visited
    await ada.goto(base)
    await ada.getByRole('link', { name: /^plugin-0-0 / }).waitFor()
    await ada.keyboard.press('/')
    await ada.keyboard.type('plugin-199-49')
    await ada.getByRole('link', { name: /^plugin-199-49/ }).click()
    await expect.poll(() => ada.locator('.cm-content').textContent()).toBe("ctx.set('X-Plugin-49', '199')")
    await ada.getByText('No problems found').waitFor()
  })

  test('the review shows some of the differences, and publishes all', async () => {
    const { ada, base } = visited
    await ada.goto(`${base}/changes/1`)
    await ada.getByText('10200 differences from nothing').waitFor({ timeout: 60_000 })
    expect(await ada.locator('.differences > li').count()).toBeLessThan(MOST_SHOWN)
    await ada.getByLabel('Message: what changes, and why').fill('ten thousand')
    await ada.getByRole('button', { name: /^Publish version/ }).click()
    await ada.getByText('Version 1 is live', { exact: true }).waitFor({ timeout: 60_000 })
    await ada.getByRole('button', { name: 'Kill switch' }).click()
    await ada.getByLabel('Find a domain or plugin that is live').fill('plugin-150-7')
    await ada.getByRole('button', { name: 'Switch off plugin-150-7' }).waitFor()
  })
})
