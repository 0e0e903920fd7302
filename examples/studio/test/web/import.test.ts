import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { addPlugin, call, change, checkAccess, describePages, photograph, publish, startVisited } from './browser.ts'

describePages('bringing in and taking out', () => {
  const visited = startVisited()
  const folder = mkdtempSync(join(tmpdir(), 'studio-import-'))
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  beforeAll(async () => {
    const { ada } = visited
    await addPlugin(ada, "ctx.set('Access-Control-Allow-Origin', '*')")
    await publish(ada, 'CORS for the shop')
  })
  /** Plugins of the change set whose page is open. */
  const plugins = async () => {
    const set = /\/changes\/(\d+)/.exec(visited.ada.url())?.[1]
    const found = await call<{ name: string; change: string }[]>(visited.ada, 'GET', `/plugins?set=${set}`)
    return found.filter(({ change }) => change !== 'removed').map(({ name }) => name)
  }
  const manifest = (...names: string[]) =>
    JSON.stringify({
      domains: [
        {
          name: 'shop.example.com',
          plugins: names.map((name) => ({ name, phase: 'header_filter', file: `${name}.js` })),
        },
      ],
    })

  test('a folder shows what it changes, and is a change set once somebody wants it', async () => {
    const { ada, base } = visited
    mkdirSync(join(folder, 'plugins', '.git'), { recursive: true })
    writeFileSync(join(folder, 'plugins', '.git', 'HEAD'), 'not a plugin')
    writeFileSync(join(folder, 'plugins', 'dynacode.json'), manifest('cors', 'vary'))
    writeFileSync(join(folder, 'plugins', 'cors.js'), "ctx.set('Access-Control-Allow-Origin', params.origin)\n")
    writeFileSync(join(folder, 'plugins', 'vary.js'), "ctx.vary('Origin')\n")
    await ada.goto(`${base}/document`)
    await ada.getByLabel('A folder', { exact: true }).setInputFiles(join(folder, 'plugins'))
    await ada.getByText('2 plugins in 1 domain: 2 differences from what is live.').waitFor()
    await ada.getByText("- ctx.set('Access-Control-Allow-Origin', '*')").waitFor()
    await checkAccess(ada)
    await ada.getByRole('region', { name: 'Import' }).scrollIntoViewIfNeeded()
    await photograph(ada, 'import')
    await ada.getByRole('button', { name: 'Start the change set' }).click()
    await ada.getByText('Imported as a change set').waitFor()
    await ada.getByRole('heading', { level: 1, name: 'Import of 2 plugins in 1 domains' }).waitFor()
    expect(await plugins()).toEqual(['cors', 'vary'])
  })

  test('what goes out comes in again, as a document and as a folder', async () => {
    const { ada, base } = visited
    await ada.goto(`${base}/document`)
    for (const name of ['As a document', 'As a folder (.tar.gz)']) {
      const [download] = await Promise.all([
        ada.waitForEvent('download'),
        ada.getByRole('link', { name, exact: true }).click(),
      ])
      const file = join(folder, download.suggestedFilename())
      await download.saveAs(file)
      expect((await readFile(file)).length).toBeGreaterThan(0)
      await ada.getByLabel(/^A document/).setInputFiles(file)
      // What was given out is the change set that is worked in.
      await ada.getByText('2 plugins in 1 domain: 2 differences from what is live.').waitFor()
      await ada.getByRole('button', { name: 'Cancel' }).click()
    }
  })

  test('what somebody changes meanwhile is not written over unseen', async () => {
    const { ada, base } = visited
    await ada.goto(`${base}/document`)
    writeFileSync(join(folder, 'empty.json'), '{ "domains": [] }')
    await ada.getByLabel(/^A document/).setInputFiles(join(folder, 'empty.json'))
    await ada.getByText('0 plugins in 0 domains').waitFor()
    await change(ada, { domain: 'meanwhile.example.com', name: 'more', phase: 'log', fields: { code: 'log(1)' } })
    const [{ id }] = (await call<[{ id: number }]>(ada, 'GET', '/sets')) as [{ id: number }]
    const { base: live, revision } = await call<{ base: number; revision: number }>(ada, 'GET', `/sets/${id}/review`)
    await call(ada, 'POST', `/sets/${id}/publish`, { message: 'meanwhile', base: live, revision })
    await ada.getByRole('button', { name: 'Start the change set' }).click()
    await ada.getByRole('region', { name: 'Import' }).getByRole('alert').waitFor()
    await ada.getByRole('button', { name: 'Try again' }).click()
    await ada.getByText('meanwhile.example.com').first().waitFor()
    await ada.getByRole('button', { name: 'Start the change set' }).click()
    await ada.getByText('Imported as a change set').waitFor()
    await ada.waitForURL(/changes/)
    expect(await plugins()).toEqual([])
  })

  test.each([
    ['no-json.json', '{ "domains"', /No-json\.json is not valid JSON/],
    ['no-document.json', '{ "plugins": [] }', /domains/],
    ['no-archive.tar.gz', 'text', /expected a tar\.gz/i],
  ])('says what is wrong with %s', async (name, content, message) => {
    const { ada, base } = visited
    writeFileSync(join(folder, name), content)
    await ada.goto(`${base}/document`)
    await ada.getByLabel(/^A document/).setInputFiles(join(folder, name))
    await ada.getByRole('alert').getByText(message).waitFor()
    expect(await ada.getByRole('button', { name: 'Start the change set' }).count()).toBe(0)
  })
})
