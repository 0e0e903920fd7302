import { afterEach, describe, expect, test, vi } from 'vitest'
import { announce } from '../server/store/announcements.ts'
import { type Database, openDatabase } from '../server/store/database.ts'
import { databases } from './databases.ts'

describe.each(databases)('on $name', ({ open }) => {
  let database: Database
  afterEach(() => database.close())

  test('every table is there', async () => {
    database = await open()
    const tables = await database.db.introspection.getTables()
    expect(tables.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['account', 'change_set', 'version', 'audit']),
    )
  })

  test('the audit log and the versions can only grow', async () => {
    database = await open()
    const { db } = database
    await db
      .insertInto('audit')
      .values({ account_id: null, actor: 'a', action: 'b', subject: 'c', details: '{}' })
      .execute()
    await expect(db.updateTable('audit').set({ actor: 'x' }).execute()).rejects.toThrow('audit is append-only')
    await expect(db.deleteFrom('audit').execute()).rejects.toThrow('audit is append-only')
    await expect(db.deleteFrom('version').execute()).rejects.toThrow('version is append-only')
  })

  test('tells what was announced once it is committed, and nothing of what was rolled back', async () => {
    database = await open()
    const { db, listen } = database
    const heard: string[] = []
    const unlisten = listen('studio_version', (payload) => heard.push(payload))
    await vi.waitFor(async () => {
      await announce(db, 'studio_version', 'ready')
      expect(heard).toContain('ready')
    })
    heard.length = 0
    await db
      .transaction()
      .execute(async (transaction) => {
        await announce(transaction, 'studio_version', 'rolled back')
        throw new Error('no')
      })
      .catch(() => undefined)
    await db.transaction().execute(async (transaction) => {
      await announce(transaction, 'studio_version', 'committed')
      expect(heard.filter((payload) => payload !== 'ready')).toEqual([])
    })
    await vi.waitFor(() => expect(heard).toContain('committed'))
    expect(heard).not.toContain('rolled back')
    unlisten()
  })
})

const servers = databases.filter(({ name }) => name === 'a PostgreSQL server')

test.each(servers)(
  'what $name announces before it is listened to is not missed: who listens looks for it then',
  async ({ open }) => {
    const database = await open()
    for (const channel of ['studio_version', 'studio_report'] as const) {
      const heard: string[] = []
      database.listen(channel, (payload) => heard.push(payload))
      await expect.poll(() => heard).toEqual([''])
      await announce(database.db, channel, 'more')
      await expect.poll(() => heard).toEqual(['', 'more'])
    }
    await database.close()
  },
)

test('says what cannot be reached', async () => {
  await expect(openDatabase({ url: 'postgres://nobody@127.0.0.1:1/none' })).rejects.toThrow(/ECONNREFUSED/)
})
