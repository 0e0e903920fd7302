import { beforeAll, expect, test } from 'vitest'
import { change, describePages, photograph, publish, save, startVisited } from './browser.ts'

const code = (value: string) => `ctx.set('X-A', '${value}')`

describePages('history and the audit log', () => {
  const visited = startVisited()

  beforeAll(async () => {
    const { ada } = visited
    const plugin = { domain: 'shop.example.com', name: 'cors', phase: 'header_filter', fields: { code: code('one') } }
    await change(ada, plugin)
    await publish(ada, 'version one')
    for (const value of ['two', 'three']) {
      await save(ada, { ...plugin, fields: { code: code(value) } })
      await publish(ada, `version ${value}`)
    }
  })

  test('any two versions are compared', async () => {
    const { ada, base } = visited
    await ada.goto(`${base}/history`)
    await ada.getByRole('button', { name: 'Compare version 1 with the newest' }).click()
    const comparison = ada.getByRole('region', { name: 'Comparison' })
    await comparison.getByText(`- ${code('one')}`).waitFor()
    await comparison.getByText(`+ ${code('three')}`).waitFor()
    await photograph(ada, 'compare')
    await ada.getByLabel('To version', { exact: true }).fill('2')
    await ada.keyboard.press('Enter')
    await comparison.getByText(`+ ${code('two')}`).waitFor()
    expect(ada.url()).toContain('before=1&after=2')
    // The other way round, and by address.
    await ada.goto(`${base}/history?before=3&after=1`)
    await comparison.getByText(`+ ${code('one')}`).waitFor()
    await ada.goto(`${base}/history?before=2&after=2`)
    await comparison.getByText('No differences.').waitFor()
    await ada.goto(`${base}/history?before=1&after=99`)
    await comparison.getByRole('alert').waitFor()
  })

  test('what was done stands in the log, with who did it', async () => {
    const { ada, base } = visited
    await ada.goto(`${base}/audit`)
    await ada.getByRole('row', { name: /ada.*add domain.*shop\.example\.com/ }).waitFor()
    expect(await ada.getByRole('row', { name: /ada publish version/ }).count()).toBe(3)
  })
})
