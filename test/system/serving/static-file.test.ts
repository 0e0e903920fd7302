import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { createInstance } from '../../fixtures/instance.ts'
import { makeFolder } from '../../fixtures/processes.ts'
import { hasProgram, startNginx } from '../../fixtures/services.ts'

const numbered = (version: number) => JSON.stringify({ general: { version }, domains: [] })

describe.skipIf(!hasProgram('nginx'))('a plain file that nginx serves', () => {
  test('is enough of an API', async () => {
    const folder = makeFolder()
    const write = (text: string) => {
      writeFileSync(join(folder, 'plugins.json.new'), text)
      renameSync(join(folder, 'plugins.json.new'), join(folder, 'plugins.json'))
    }
    write(numbered(1))
    const nginx = await startNginx(folder)
    const statuses: number[] = []
    const dyna = createInstance({
      plugin_api_uri: `http://127.0.0.1:${nginx.port}/plugins.json`,
      on_fetch_success: ({ status }) => statuses.push(status),
    })
    await dyna.ready()
    expect(dyna.status().version).toBe(1)
    await dyna.refresh()
    await dyna.refresh()
    expect(statuses).toEqual([200, 304, 304])

    write(numbered(22))
    expect(await dyna.refresh()).toMatchObject({ updated: true, version: 22 })
    await nginx.kill()
    expect(await dyna.refresh()).toMatchObject({ reason: 'fetch' })
    await nginx.start()
    expect(await dyna.refresh()).toMatchObject({ reason: 'unchanged' })
    expect(dyna.status().version).toBe(22)
  })
})
