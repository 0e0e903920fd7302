import { PGlite } from '@electric-sql/pglite'
import { Kysely, PostgresDialect } from 'kysely'
import { PGliteDialect } from 'kysely-pglite-dialect'
import pg from 'pg'
import { describe, expect, onTestFinished, test } from 'vitest'
import { listSets } from '../server/changes/sets.ts'
import { MIGRATIONS } from '../server/store/migrations.ts'
import { databases } from './databases.ts'

const NEW = '0007_change_sets'
const documentOf = (plugins: object[]) =>
  JSON.stringify({ general: { version: 1 }, domains: [{ name: 'a.example', plugins }] })
const plugin = (name: string, code: string) => ({ name, phase: 'access', code })

describe.each(databases)('an earlier studio’s database on $name', ({ blank }) => {
  // biome-ignore lint/suspicious/noExplicitAny: a migration is about tables as they were then
  async function openEarlier(): Promise<Kysely<any>> {
    const url = await blank()
    const dialect =
      url === undefined
        ? new PGliteDialect(await PGlite.create())
        : new PostgresDialect({ pool: new pg.Pool({ connectionString: url }) })
    // biome-ignore lint/suspicious/noExplicitAny: the same
    const db = new Kysely<any>({ dialect })
    onTestFinished(() => db.destroy())
    for (const [name, { up }] of Object.entries(MIGRATIONS)) {
      if (name === NEW) break
      await up(db)
    }
    return db
  }
  // biome-ignore lint/suspicious/noExplicitAny: the same
  async function fill(db: Kysely<any>): Promise<void> {
    const { id } = await db
      .insertInto('account')
      .values({ name: 'ada', role: 'publisher', password_hash: '' })
      .returning('id')
      .executeTakeFirstOrThrow()
    const documents = [
      documentOf([plugin('one', '1')]),
      documentOf([plugin('one', '1'), plugin('two', '1'), plugin('gone', '1')]),
    ]
    for (const [at, document] of documents.entries())
      await db
        .insertInto('version')
        .values({ version: at + 1, kind: 'publish', message: 'm', document, created_by: id })
        .execute()
    const domain = await db
      .insertInto('domain')
      .values({ name: 'a.example', position: 1 })
      .returning('id')
      .executeTakeFirstOrThrow()
    const rows = [
      ['new', '1'],
      ['one', '2'],
      ['two', '1'],
    ] as const
    for (const [position, [name, code]] of rows.entries())
      await db
        .insertInto('plugin')
        .values({ domain_id: domain.id, name, phase: 'access', fields: JSON.stringify({ code }), position })
        .execute()
    await db
      .updateTable('general')
      .set({ fields: JSON.stringify({ skip_domains: ['b'] }) })
      .execute()
    const proposal = {
      kind: 'publish',
      message: 'two is two',
      document: documentOf([plugin('one', '1'), plugin('two', '2'), plugin('gone', '1')]),
    }
    await db
      .insertInto('proposal')
      .values({ ...proposal, base: 2, created_by: id })
      .execute()
    await db
      .insertInto('proposal')
      .values({ ...proposal, base: 1, created_by: id, closed_at: new Date() })
      .execute()
  }

  test('has its draft and what was proposed as change sets, and knows which version made what', async () => {
    const db = await openEarlier()
    await fill(db)
    await MIGRATIONS[NEW]?.up(db)
    const [proposed, draft] = (await listSets(db as never, true, 10, 0)).sort((one, other) => other.id - one.id)
    expect(draft).toMatchObject({
      name: 'The draft, as it was shared',
      created_by: 'the studio',
      edits: 5,
      proposal: null,
    })
    expect(proposed).toMatchObject({
      created_by: 'ada',
      edits: 1,
      proposal: { message: 'two is two', by: 'ada', is_current: true },
    })
    const edits = await db
      .selectFrom('change_edit')
      .select(['kind', 'name', 'base', 'after'])
      .where('set_id', '=', draft?.id)
      .orderBy('id')
      .execute()
    expect(edits).toEqual([
      { kind: 'general', name: '', base: {}, after: { skip_domains: ['b'] } },
      { kind: 'plugin', name: 'gone', base: { code: '1' }, after: null },
      { kind: 'plugin', name: 'new', base: null, after: { code: '1' } },
      { kind: 'plugin', name: 'one', base: { code: '1' }, after: { code: '2' } },
      { kind: 'order', name: '', base: expect.any(Array), after: expect.any(Array) },
    ])
    const made = await db
      .selectFrom('version_plugin')
      .select(['version', 'name'])
      .orderBy('version')
      .orderBy('name')
      .execute()
    expect(made).toEqual([
      { version: 1, name: 'one' },
      { version: 2, name: 'gone' },
      { version: 2, name: 'two' },
    ])
    expect((await db.introspection.getTables()).map(({ name }) => name)).not.toContain('draft')
  })

  test('has none where the draft was what is live, and where it was empty', async () => {
    const db = await openEarlier()
    await MIGRATIONS[NEW]?.up(db)
    expect(await listSets(db as never, true, 10, 0)).toEqual([])
  })
})
