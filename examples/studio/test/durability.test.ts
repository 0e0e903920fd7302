import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, onTestFinished, test } from 'vitest'
import { type DatabaseOptions, openDatabase } from '../server/store/database.ts'
import { startStudio } from '../server/studio.ts'
import { beginSet } from './change-sets.ts'
import { databases } from './databases.ts'
import { runStudio } from './running-studio.ts'

const kept = databases.map(({ name, options }) => ({
  name,
  /** A database that outlives its process. */
  async place(): Promise<DatabaseOptions> {
    const given = await options()
    if ('url' in given) return given
    const folder = mkdtempSync(join(tmpdir(), 'studio-'))
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
    return { folder }
  },
}))

describe.each(kept)('on $name', ({ place }) => {
  test('a restart loses nothing', async () => {
    const database = await place()
    const first = await runStudio({ database })
    const set = await beginSet(first.ada, 'first')
    await set.addDomain('a.example').expect(201)
    await set.add('a.example', { name: 'p', phase: 'access', fields: { code: 'exit(403)' } }).expect(201)
    expect((await set.publish('p')).body).toEqual({ version: 1 })
    const open = await beginSet(first.ada, 'open')
    await open.addDomain('more.example').expect(201)
    const { body: token } = await first.ada.send('post', '/api/tokens', { name: 'ci', role: 'publisher' }).expect(201)
    const paths = [
      `/api/export?set=${open.id}`,
      '/api/plugins',
      '/api/sets',
      '/api/sets?state=closed',
      '/api/versions',
      '/api/versions/1',
      '/api/audit',
      '/api/accounts',
      '/plugins.json',
    ]
    const read = async (address: string) => {
      const headers = { authorization: `Bearer ${token.secret}` }
      return Promise.all(paths.map(async (path) => (await fetch(address + path, { headers })).json()))
    }
    const before = await read(first.address)
    await first.close()
    const again = await startStudio({ database })
    expect(again.invitation).toBeUndefined()
    const server = again.app.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const after = await read(`http://127.0.0.1:${(server.address() as { port: number }).port}`)
    server.close()
    server.closeAllConnections()
    await again.close()
    expect(after).toEqual(before)
  })

  test('a version is whole or absent when its process is killed while it publishes, and the studio starts again', async () => {
    const database = await place()
    const script = join(import.meta.dirname, 'fixtures', 'publish-process.ts')
    const child = fork(script, [JSON.stringify(database)], { execArgv: ['--import', 'tsx'] })
    let [publishing, published] = [0, 0]
    child.on('message', (said: { publishing?: number; published?: number }) => {
      publishing = said.publishing ?? publishing
      published = said.published ?? published
    })
    await expect.poll(() => publishing, { timeout: 60_000, interval: 1 }).toBeGreaterThanOrEqual(4)
    await sleep(Math.random() * 30)
    child.kill('SIGKILL')
    await once(child, 'exit')

    const { db, close } = await openDatabase(database)
    const versions = await db.selectFrom('version').select(['version', 'document']).orderBy('version').execute()
    expect(versions.length).toBeGreaterThanOrEqual(published)
    expect(versions.length).toBeLessThanOrEqual(publishing)
    for (const [at, { version, document }] of versions.entries()) {
      const { general, domains } = JSON.parse(document)
      expect([version, general.version, domains[0].plugins.length]).toEqual([at + 1, at + 1, at + 1])
    }
    const written = await db.selectFrom('audit').select('subject').where('action', '=', 'publish').execute()
    expect(written.map(({ subject }) => subject).sort()).toEqual(
      versions.map(({ version }) => `version ${version}`).sort(),
    )
    await close()

    const studio = await startStudio({ database })
    const server = studio.app.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const served = await fetch(`http://127.0.0.1:${(server.address() as { port: number }).port}/plugins.json`)
    expect(await served.text()).toBe(versions.at(-1)?.document)
    server.close()
    server.closeAllConnections()
    await studio.close()
  }, 120_000)
})
