import pg from 'pg'
import { describe, expect, onTestFinished, test } from 'vitest'
import { beginSet, openSet } from './change-sets.ts'
import { databases } from './databases.ts'
import { runStudio } from './running-studio.ts'
import { createVisitor, runStudio as runAnother } from './visitors.ts'

/** Studios on one server: the embedded database is for one process. */
const servers = databases.filter(({ name }) => name === 'a PostgreSQL server')

describe.each(servers)('several studios on $name', ({ options }) => {
  async function start() {
    const database = (await options()) as { url: string }
    const one = await runStudio({ database })
    const other = await runAnother({ database })
    onTestFinished(async () => {
      await one.close()
      await other.close()
    })
    const address = `http://127.0.0.1:${(other.server.address() as { port: number }).port}/plugins.json`
    const publish = async (base: number) => {
      const set = await beginSet(one.ada)
      await set.addDomain(`d${base}.example`).expect(201)
      expect((await set.publish('p')).body).toEqual({ version: base + 1 })
    }
    /** What the other one answers when it has something else than before. */
    const wait = async (etag: string) => {
      const headers = { 'if-none-match': etag, prefer: 'wait=15' }
      const answer = await fetch(address, { headers })
      return {
        etag: answer.headers.get('etag') as string,
        status: answer.status,
        document: await answer.json().catch(() => null),
      }
    }
    return { database, publish, wait, one, other }
  }

  test('serve at once what any of them publishes', async () => {
    const { publish, wait } = await start()
    const first = await wait('none')
    const waiting = wait(first.etag)
    await publish(0)
    expect(await waiting).toMatchObject({ status: 200, document: { general: { version: 1 } } })
  })

  test('show the same change sets: what is changed in one is reviewed and published in the other', async () => {
    const { one, other } = await start()
    const { body: token } = await one.ada.send('post', '/api/tokens', { name: 'ci', role: 'publisher' }).expect(201)
    const asCi = createVisitor(() => other.server)
    asCi.open().set('Authorization', `Bearer ${token.secret}`)
    const set = await beginSet(one.ada)
    const there = openSet(asCi, set.id)
    await set.addDomain('a.example').expect(201)
    expect((await there.review()).differences).toHaveLength(1)
    await set.add('a.example', { name: 'p', phase: 'access', fields: { code: 'exit(403)' } }).expect(201)
    expect((await there.review()).differences).toHaveLength(2)
    expect((await there.publish('p')).body).toEqual({ version: 1 })
    expect((await one.ada.get(`/api/sets/${set.id}`)).body).toMatchObject({ state: 'published', version: 1 })
    expect((await one.ada.get('/api/plugins')).body).toMatchObject([{ name: 'p', live: { version: 1 } }])
    expect([...one.failures, ...other.failures]).toEqual([])
  })

  test('learn what they missed when the connection that tells them was cut', async () => {
    const { database, publish, wait, other, one } = await start()
    const first = await wait('none')
    const waiting = wait(first.etag)
    const client = new pg.Client({ connectionString: database.url })
    await client.connect()
    const { rows } = await client.query(
      "select count(pg_terminate_backend(pid))::int as ended from pg_stat_activity where query ilike 'listen %' and pid <> pg_backend_pid()",
    )
    await client.end()
    expect(rows[0].ended).toBeGreaterThanOrEqual(2)
    await publish(0)
    expect(await waiting).toMatchObject({ status: 200, document: { general: { version: 1 } } })
    const { etag } = await wait('none')
    const again = wait(etag)
    await publish(1)
    expect(await again).toMatchObject({ document: { general: { version: 2 } } })
    expect([...one.failures, ...other.failures]).toEqual([])
  })
})
