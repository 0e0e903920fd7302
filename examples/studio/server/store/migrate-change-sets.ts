import { type Kysely, sql } from 'kysely'
import type { GivenEdit } from '../changes/apply-edits.ts'
import { findChangedPlugins, findEdits } from '../changes/find-edits.ts'
import { type PlainDocument, readPlain } from '../changes/plain-document.ts'

// biome-ignore lint/suspicious/noExplicitAny: a migration is about tables as they were then
type Then = Kysely<any>

const NOTHING = '{"domains":[]}'
/** Rows of one statement. */
const ROWS = 500

/** Change sets in place of one draft: what was in that, and what was proposed, becomes a change set each. */
export async function addChangeSets(db: Then): Promise<void> {
  await createTables(db)
  const live = readPlain(await noteVersions(db))
  const draft = findEdits(live, await readDraft(db))
  if (draft.length > 0) await addSet(db, { name: 'The draft, as it was shared' }, draft)
  const proposals = await db.selectFrom('proposal').selectAll().where('closed_at', 'is', null).orderBy('id').execute()
  for (const { message, document, base, created_by, created_at } of proposals) {
    const found = await db.selectFrom('version').select('document').where('version', '=', base).executeTakeFirst()
    const edits = findEdits(readPlain(found?.document ?? NOTHING), readPlain(document))
    const proposed = {
      proposed_by: created_by,
      proposed_at: created_at,
      proposed_revision: 1,
      proposed_message: message,
    }
    if (edits.length > 0) await addSet(db, { name: message.slice(0, 100), created_by, ...proposed }, edits)
  }
  for (const table of ['plugin', 'domain', 'general', 'draft', 'proposal']) await db.schema.dropTable(table).execute()
}

async function createTables(db: Then): Promise<void> {
  const now = sql`now()`
  await db.schema
    .createTable('change_set')
    .addColumn('id', 'serial', (column) => column.primaryKey())
    .addColumn('name', 'text', (column) => column.notNull())
    .addColumn('state', 'text', (column) =>
      column.notNull().defaultTo('open').check(sql`state in ('open', 'published', 'discarded')`),
    )
    .addColumn('revision', 'integer', (column) => column.notNull().defaultTo(1))
    .addColumn('created_by', 'integer', (column) => column.references('account.id'))
    .addColumn('created_at', 'timestamptz', (column) => column.notNull().defaultTo(now))
    .addColumn('updated_at', 'timestamptz', (column) => column.notNull().defaultTo(now))
    .addColumn('proposed_by', 'integer', (column) => column.references('account.id'))
    .addColumn('proposed_at', 'timestamptz')
    .addColumn('proposed_revision', 'integer')
    .addColumn('proposed_message', 'text')
    .addColumn('version', 'integer')
    .addColumn('rolled_back_by', 'integer')
    .execute()
  await db.schema.createIndex('change_set_state').on('change_set').columns(['state', 'id']).execute()
  await db.schema
    .createTable('change_edit')
    .addColumn('id', 'serial', (column) => column.notNull().unique())
    .addColumn('set_id', 'integer', (column) => column.notNull().references('change_set.id').onDelete('cascade'))
    .addColumn('kind', 'text', (column) => column.notNull())
    .addColumn('domain', 'text', (column) => column.notNull())
    .addColumn('name', 'text', (column) => column.notNull())
    .addColumn('phase', 'text', (column) => column.notNull())
    // As text: jsonb would order and merge the fields.
    .addColumn('base', 'json', (column) => column.notNull())
    .addColumn('after', 'json', (column) => column.notNull())
    .addColumn('revision', 'integer', (column) => column.notNull().defaultTo(1))
    .addColumn('updated_by', 'integer', (column) => column.references('account.id'))
    .addColumn('updated_at', 'timestamptz', (column) => column.notNull().defaultTo(now))
    .addPrimaryKeyConstraint('change_edit_key', ['set_id', 'kind', 'domain', 'name', 'phase'])
    .execute()
  await db.schema.createIndex('change_edit_plugin').on('change_edit').columns(['domain', 'name', 'phase']).execute()
  await db.schema
    .createTable('change_comment')
    .addColumn('id', 'serial', (column) => column.primaryKey())
    .addColumn('set_id', 'integer', (column) => column.notNull().references('change_set.id').onDelete('cascade'))
    .addColumn('account_id', 'integer', (column) => column.references('account.id'))
    .addColumn('by', 'text', (column) => column.notNull())
    .addColumn('text', 'text', (column) => column.notNull())
    .addColumn('at', 'timestamptz', (column) => column.notNull().defaultTo(now))
    .execute()
  await db.schema.createIndex('change_comment_set').on('change_comment').columns(['set_id', 'id']).execute()
  await db.schema
    .createTable('version_plugin')
    .addColumn('version', 'integer', (column) => column.notNull())
    .addColumn('domain', 'text', (column) => column.notNull())
    .addColumn('name', 'text', (column) => column.notNull())
    .addColumn('phase', 'text', (column) => column.notNull())
    .addColumn('is_there', 'boolean', (column) => column.notNull())
    .addPrimaryKeyConstraint('version_plugin_key', ['domain', 'name', 'phase', 'version'])
    .execute()
  await db.schema.alterTable('version').addColumn('rolled_back_to', 'integer').execute()
}

/** Writes down what each version made different. @returns the newest one's document */
async function noteVersions(db: Then): Promise<string> {
  const versions = await db.selectFrom('version').select('version').orderBy('version').execute()
  let text = NOTHING
  let before = readPlain(text)
  for (const { version } of versions) {
    const found = await db.selectFrom('version').select('document').where('version', '=', version).executeTakeFirst()
    text = found?.document ?? NOTHING
    const after = readPlain(text)
    const rows = findChangedPlugins(before, after).map((changed) => ({ version, ...changed }))
    for (let at = 0; at < rows.length; at += ROWS)
      await db
        .insertInto('version_plugin')
        .values(rows.slice(at, at + ROWS))
        .execute()
    before = after
  }
  return text
}

async function readDraft(db: Then): Promise<PlainDocument> {
  const { fields: general } = await db.selectFrom('general').select('fields').executeTakeFirstOrThrow()
  const domains = await db.selectFrom('domain').select(['id', 'name']).orderBy('position').execute()
  const plugins = await db
    .selectFrom('plugin')
    .select(['domain_id', 'name', 'phase', 'fields'])
    .orderBy('position')
    .orderBy('id')
    .execute()
  const of = new Map<number, PlainDocument['domains'][number]['plugins'][number][]>(domains.map(({ id }) => [id, []]))
  for (const { domain_id, name, phase, fields } of plugins) of.get(domain_id)?.push({ name, phase, fields })
  return { general, domains: domains.map(({ id, name }) => ({ name, plugins: of.get(id) ?? [] })) }
}

async function addSet(db: Then, values: object, edits: readonly GivenEdit[]): Promise<void> {
  const { id: set_id } = await db.insertInto('change_set').values(values).returning('id').executeTakeFirstOrThrow()
  const rows = edits.map(({ base, after, ...key }) => ({
    set_id,
    ...key,
    base: JSON.stringify(base),
    after: JSON.stringify(after),
  }))
  for (let at = 0; at < rows.length; at += ROWS)
    await db
      .insertInto('change_edit')
      .values(rows.slice(at, at + ROWS))
      .execute()
}
