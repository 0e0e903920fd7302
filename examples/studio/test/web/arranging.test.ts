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
  startVisited,
  write,
} from './browser.ts'

interface Named {
  readonly name: string
}

describePages('what a change set arranges', () => {
  const visited = startVisited()
  let set = 0
  const plugin = (name: string) => ({
    domain: 'one.example',
    name,
    phase: 'header_filter',
    fields: { code: `ctx.set('X-By', '${name}')` },
  })

  beforeAll(async () => {
    set = await change(visited.ada, ...['first', 'second', 'third'].map(plugin))
    for (const name of ['two.example', 'three.example'])
      await call(visited.ada, 'POST', `/sets/${set}/domains`, { name })
  })
  const namesOf = async (path: string) => {
    const { searchParams } = new URL(path, 'http://studio')
    const of = `${path}${searchParams.size === 0 ? '?' : '&'}set=${set}`
    return (await call<Named[]>(visited.ada, 'GET', of)).map(({ name }) => name)
  }

  test('has its domains and plugins in an order that is changed by keyboard', async () => {
    const { ada, base } = visited
    await ada.goto(`${base}/?domain=one.example&set=${set}`)
    await ada.getByRole('button', { name: 'Reorder the plugins' }).click()
    const up = ada.getByRole('button', { name: 'Move third up' })
    await up.focus()
    for (const expected of [
      ['first', 'third', 'second'],
      ['third', 'first', 'second'],
    ]) {
      await ada.keyboard.press('Enter')
      await expect.poll(() => namesOf('/plugins?domain=one.example')).toEqual(expected)
      await expect.poll(() => ada.locator('.plugins .name').allTextContents()).toEqual(expected)
      // The focus has gone with it, until there is no further way up.
      if (expected[0] !== 'third')
        await expect.poll(() => ada.evaluate('document.activeElement.ariaLabel')).toBe('Move third up')
    }
    expect(await up.isDisabled()).toBe(true)
    await checkAccess(ada)
    await ada.getByRole('button', { name: 'Reorder the domains' }).click()
    await ada.getByRole('button', { name: 'Move one.example down' }).click()
    await expect.poll(() => namesOf('/domains')).toEqual(['two.example', 'one.example', 'three.example'])
  })

  test('renames a domain, but not to a name that is taken', async () => {
    const { ada, base } = visited
    await ada.goto(`${base}/?domain=two.example&set=${set}`)
    await ada.getByRole('button', { name: 'Rename…' }).click()
    await ada.getByLabel('Hosts').fill('one.example')
    await ada.getByRole('button', { name: 'Rename', exact: true }).click()
    await ada.getByText('Is taken').waitFor()
    await ada.getByLabel('Hosts').fill('renamed.example')
    await ada.getByRole('button', { name: 'Rename', exact: true }).click()
    await ada.getByRole('heading', { name: 'renamed.example' }).waitFor()
    expect(await namesOf('/domains')).toContain('renamed.example')
  })

  test('moves a plugin to another domain', async () => {
    const { ada, base } = visited
    await ada.goto(base)
    await ada.getByRole('link', { name: /^second/ }).click()
    await ada.getByRole('button', { name: 'Move…', exact: true }).click()
    await ada.getByLabel('Find a domain').fill('three')
    await checkAccess(ada)
    await ada.getByRole('button', { name: 'Move to three.example' }).click()
    await ada.getByText('second is in three.example now').waitFor()
    await ada.getByRole('navigation', { name: 'Breadcrumb' }).getByText('three.example').waitFor()
    expect(await namesOf('/plugins?domain=three.example')).toEqual(['second'])
  })

  test('splits a plugin into variants, and puts them together again', async () => {
    const { ada, base } = visited
    await ada.goto(base)
    await ada.getByRole('link', { name: /^first/ }).click()
    await ada.getByRole('button', { name: 'Split into variants…' }).click()
    await write(ada, "ctx.set('X-By', 'other'")
    await ada.getByText('1 error prevents publishing.').waitFor()
    await ada.locator('.cm-lintRange-error').first().waitFor()
    // The error is that of the variant, and not of the one beside it.
    await ada.getByRole('button', { name: 'old 50 %' }).click()
    await expect.poll(() => ada.locator('.cm-content').textContent()).toBe("ctx.set('X-By', 'first')")
    expect(await ada.locator('.cm-lintRange-error').count()).toBe(0)
    await ada.getByRole('button', { name: 'new, line 1' }).click()
    await expect.poll(() => ada.locator('.cm-content').textContent()).toBe("ctx.set('X-By', 'other'")
    await write(ada, "ctx.set('X-By', 'other')")
    await ada.getByLabel('Share (%)').fill('60')
    await ada.getByText('Expected at most 100 % together, got 110 %').waitFor()
    await ada.getByLabel('Share (%)').fill('10')
    await ada.getByText('40 % of the requests run none of them.').waitFor()
    await checkAccess(ada)
    await ada.keyboard.press('Control+s')
    await ada.getByText('Saved in the change set').waitFor()
    const path = pathOf(plugin('first'), set)
    const { fields } = await call<{ fields: unknown }>(ada, 'GET', path)
    expect(fields).toEqual({
      variants: [
        { name: 'old', percent: 50, code: "ctx.set('X-By', 'first')" },
        { name: 'new', percent: 10, code: "ctx.set('X-By', 'other')" },
      ],
    })
    await ada.getByText('No problems found').waitFor()
    await ada.reload()
    await ada.getByRole('button', { name: 'old 50 %' }).click()
    await ada.getByRole('button', { name: 'Remove this variant' }).click()
    await expect.poll(() => ada.locator('.cm-content').textContent()).toBe("ctx.set('X-By', 'other')")
    await ada.keyboard.press('Control+s')
    await ada.getByText('Saved in the change set').waitFor()
    expect((await call<{ fields: unknown }>(ada, 'GET', path)).fields).toEqual({
      code: "ctx.set('X-By', 'other')",
    })
  })

  test('says for which hosts no plugin runs; of two who say so, each sees the other', async () => {
    const { ada, base, openPage } = visited
    const bob = await openPage({ viewport: { width: 390, height: 844 } })
    await joinBy(bob, await invite(ada, 'author'), 'bob')
    await ada.goto(`${base}/document?set=${set}`)
    await bob.goto(`${base}/document?set=${set}`)
    const field = 'Hosts without plugins'
    await bob.getByLabel(field).fill('metrics.example')
    await ada.getByLabel(field).fill('health.example\n\n internal.example ')
    await ada.getByRole('button', { name: 'Save', exact: true }).click()
    await ada.getByText('Saved in the change set').waitFor()
    await bob.getByText(/Someone else saved this in the meantime\..*health\.example/).waitFor()
    expect(await bob.getByLabel(field).inputValue()).toBe('metrics.example')
    expect(await measureOverflow(bob)).toBe(0)
    await checkAccess(bob)
    await bob.getByRole('button', { name: 'Use theirs, discard mine' }).click()
    expect(await bob.getByLabel(field).inputValue()).toBe('health.example\ninternal.example')
    const { fields } = await call<{ fields: object }>(ada, 'GET', `/general?set=${set}`)
    expect(fields).toMatchObject({ skip_domains: ['health.example', 'internal.example'] })
    await bob.context().close()
  })
})
