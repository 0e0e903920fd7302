import { beforeAll, beforeEach, expect, test } from 'vitest'
import { addPlugin, call, describePages, pathOf, startVisited, write } from './browser.ts'

describePages('the editor', () => {
  const visited = startVisited()
  let plugin = ''

  beforeAll(async () => {
    plugin = await addPlugin(visited.ada, "ctx.set('X-A', '1')")
  })
  beforeEach(async () => {
    const { ada, base } = visited
    await ada.goto(base)
    await ada.evaluate('sessionStorage.clear()')
    await ada.goto(base + plugin)
    await ada.locator('.cm-content').waitFor()
  })

  test('completes what is in scope of the phase, and of its parts', async () => {
    const { ada } = visited
    const offered = (name: string) => ada.locator('.cm-tooltip-autocomplete').getByText(name, { exact: true })
    await write(ada, 'ctx.resp', 'type')
    await offered('response').waitFor()
    await write(ada, 'stor', 'type')
    await offered('store').waitFor()
    // Not in this phase.
    await write(ada, 'chun', 'type')
    await expect.poll(() => offered('chunk').count(), { timeout: 2000 }).toBe(0)
  })

  test('takes no answer that broke off for one', async () => {
    const { ada } = visited
    await ada.route('**/api/check', (route) => route.fulfill({ status: 200, body: '{ "findings": [' }))
    await write(ada, '(')
    await ada.getByText("The code could not be checked: the studio's response was cut off. Try again").waitFor()
    await ada.unroute('**/api/check')
    await write(ada, '((')
    await ada.getByText('1 error prevents publishing.').waitFor()
  })

  test('keeps what was typed and not saved', async () => {
    const { ada } = visited
    await write(ada, "log('not saved, typed at once')", 'type')
    await ada.getByLabel('Parameters').fill('{ "half":')
    await ada.getByText('Not saved', { exact: true }).waitFor()
    ada.once('dialog', (dialog) => dialog.accept())
    await ada.reload()
    await ada.getByText('Your unsaved changes were restored.').waitFor()
    await expect.poll(() => ada.locator('.cm-content').textContent()).toBe("log('not saved, typed at once')")
    expect(await ada.getByLabel('Parameters').inputValue()).toBe('{ "half":')
    await ada.getByRole('button', { name: 'Save', exact: true }).click()
    await ada.getByText('Not saved: some fields are not valid').waitFor()
    await ada.getByRole('button', { name: 'Discard them' }).click()
    await expect.poll(() => ada.locator('.cm-content').textContent()).toMatch(/^ctx\.set/)
  })

  test('saves who answers for it, and keeps what the form has no place for', async () => {
    const { ada, base } = visited
    const set = Number(new URL(base + plugin).searchParams.get('set'))
    const key = { domain: 'shop.example.com', name: 'guarded', phase: 'header_filter' }
    const rollout = { percent: 10, stop_when: { errors: '5 %' } }
    await call(ada, 'POST', `/sets/${set}/plugins`, { ...key, fields: { code: "ctx.set('X-A', '1')", rollout } })
    await ada.goto(base + pathOf(key, set))
    await ada.getByText('Its rollout has steps or a guard.').waitFor()
    await ada.getByLabel('Owner').fill('team checkout')
    await ada.getByLabel('Runbook').fill('https://wiki.example.com/cors')
    await ada.keyboard.press('Control+s')
    await ada.getByText('Saved in the change set').waitFor()
    await expect
      .poll(async () => (await call<{ fields: object }>(ada, 'GET', pathOf(key, set))).fields)
      .toMatchObject({ rollout, 'x-owner': 'team checkout', 'x-runbook': 'https://wiki.example.com/cors' })
    await ada.reload()
    await expect.poll(() => ada.getByLabel('Owner').inputValue()).toBe('team checkout')
  })

  test.each([
    ['Priority', 'high', 'Expected a number, got “high”'],
    ['Percent', '120', /expected a number/i],
    ['Parameters', '[1]', 'Expected an object: { … }'],
  ])('says at the field what is wrong with %s, and keeps it', async (label, text, message) => {
    const { ada } = visited
    const field = ada.getByLabel(label, { exact: true })
    await field.fill(text)
    await ada.getByText(message).first().waitFor()
    const note = await field.getAttribute('aria-describedby')
    expect(await ada.locator(`[id="${note}"]`).textContent()).toMatch(message)
    expect(await field.getAttribute('aria-invalid')).toBe('true')
    expect(await field.inputValue()).toBe(text)
  })
  test('says at the field what is wrong with a request to try', async () => {
    const { ada, base } = visited
    await ada.goto(`${base}/try`)
    for (const [label, text, message] of [
      ['URL', 'nonsense', 'Expected a URL that begins with http:// or https://, got a string'],
      ['Headers', 'no header', /header/],
    ] as const) {
      await ada.getByLabel(label).fill(text)
      await ada.keyboard.press('Control+Enter')
      await ada.locator('[aria-invalid=true]').and(ada.getByLabel(label)).waitFor()
      const note = await ada.getByLabel(label).getAttribute('aria-describedby')
      expect(await ada.locator(`[id="${note}"]`).textContent()).toMatch(message)
      expect(await ada.getByRole('alert').count()).toBe(0)
      if (label === 'URL') await ada.getByLabel('URL').fill('http://shop.example.com/')
    }
  })
})
