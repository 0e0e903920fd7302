import { type Kysely, type Migration, sql } from 'kysely'
import { addEnvironments } from './environment-tables.ts'
import { addChangeSets } from './migrate-change-sets.ts'
import { addFleet } from './migrate-fleet.ts'
import { addIdentities } from './oidc-tables.ts'
import { addRollouts } from './rollout-tables.ts'
import { addTemplates } from './template-tables.ts'
import { addWebhooks } from './webhook-tables.ts'

/** Every step from an empty database on, by name; one that was released is never changed. */
export const MIGRATIONS: Readonly<Record<string, Migration>> = Object.freeze({
  '0001_begin': { up: begin },
  '0002_draft_revision': { up: addDraftRevision },
  '0003_password_links': { up: addPasswordLinks },
  '0004_git_commits': { up: addGitCommits },
  '0005_second_person': { up: addSecondPerson },
  '0006_second_factor': { up: addSecondFactor },
  '0007_change_sets': { up: addChangeSets },
  '0008_fleet': { up: addFleet },
  '0030_webhooks': { up: addWebhooks },
  '0031_identities': { up: addIdentities },
  '0032_action_templates': { up: addTemplates },
  '0033_environments': { up: addEnvironments },
  '0034_rollouts': { up: addRollouts },
})

// biome-ignore lint/suspicious/noExplicitAny: a migration is about tables as they were then
async function begin(db: Kysely<any>): Promise<void> {
  const created = sql`now()`
  await db.schema
    .createTable('account')
    .addColumn('id', 'serial', (column) => column.primaryKey())
    .addColumn('name', 'text', (column) => column.notNull())
    .addColumn('role', 'text', (column) => column.notNull().check(sql`role in ('viewer', 'author', 'publisher')`))
    .addColumn('password_hash', 'text', (column) => column.notNull())
    .addColumn('active', 'boolean', (column) => column.notNull().defaultTo(true))
    .addColumn('created_at', 'timestamptz', (column) => column.notNull().defaultTo(created))
    .execute()
  // Two accounts that look alike could pass for each other.
  await sql`create unique index account_name on account (lower(name))`.execute(db)

  await db.schema
    .createTable('invitation')
    .addColumn('token_hash', 'text', (column) => column.primaryKey())
    .addColumn('role', 'text', (column) => column.notNull())
    .addColumn('created_by', 'integer', (column) => column.references('account.id'))
    .addColumn('created_at', 'timestamptz', (column) => column.notNull().defaultTo(created))
    .addColumn('expires_at', 'timestamptz', (column) => column.notNull())
    .addColumn('used_at', 'timestamptz')
    .execute()

  await db.schema
    .createTable('session')
    .addColumn('token_hash', 'text', (column) => column.primaryKey())
    .addColumn('account_id', 'integer', (column) => column.notNull().references('account.id').onDelete('cascade'))
    .addColumn('csrf', 'text', (column) => column.notNull())
    .addColumn('created_at', 'timestamptz', (column) => column.notNull().defaultTo(created))
    .addColumn('expires_at', 'timestamptz', (column) => column.notNull())
    .execute()

  await db.schema
    .createTable('api_token')
    .addColumn('id', 'serial', (column) => column.primaryKey())
    .addColumn('name', 'text', (column) => column.notNull())
    .addColumn('token_hash', 'text', (column) => column.notNull().unique())
    .addColumn('role', 'text', (column) => column.notNull())
    .addColumn('created_by', 'integer', (column) => column.notNull().references('account.id'))
    .addColumn('created_at', 'timestamptz', (column) => column.notNull().defaultTo(created))
    .addColumn('expires_at', 'timestamptz')
    .addColumn('used_at', 'timestamptz')
    .addColumn('revoked_at', 'timestamptz')
    .execute()

  await db.schema
    .createTable('domain')
    .addColumn('id', 'serial', (column) => column.primaryKey())
    .addColumn('name', 'text', (column) => column.notNull().unique())
    .addColumn('position', 'integer', (column) => column.notNull())
    .addColumn('revision', 'integer', (column) => column.notNull().defaultTo(1))
    .execute()

  await db.schema
    .createTable('plugin')
    .addColumn('id', 'serial', (column) => column.primaryKey())
    .addColumn('domain_id', 'integer', (column) => column.notNull().references('domain.id').onDelete('cascade'))
    .addColumn('name', 'text', (column) => column.notNull())
    .addColumn('phase', 'text', (column) => column.notNull())
    // As text: jsonb would order and merge the fields, and what was imported shall come out the same.
    .addColumn('fields', 'json', (column) => column.notNull())
    .addColumn('position', 'integer', (column) => column.notNull())
    .addColumn('revision', 'integer', (column) => column.notNull().defaultTo(1))
    .addColumn('updated_by', 'integer', (column) => column.references('account.id'))
    .addColumn('updated_at', 'timestamptz', (column) => column.notNull().defaultTo(created))
    .addUniqueConstraint('plugin_key', ['domain_id', 'name', 'phase'])
    .execute()
  await db.schema.createIndex('plugin_order').on('plugin').columns(['domain_id', 'position']).execute()

  await db.schema
    .createTable('general')
    .addColumn('id', 'integer', (column) => column.primaryKey().check(sql`id = 1`))
    .addColumn('fields', 'json', (column) => column.notNull())
    .addColumn('revision', 'integer', (column) => column.notNull().defaultTo(1))
    .execute()
  await sql`insert into general (id, fields) values (1, '{}')`.execute(db)

  await db.schema
    .createTable('version')
    .addColumn('version', 'integer', (column) => column.primaryKey())
    .addColumn('kind', 'text', (column) => column.notNull())
    .addColumn('message', 'text', (column) => column.notNull())
    .addColumn('document', 'text', (column) => column.notNull())
    .addColumn('signed', 'text')
    .addColumn('created_by', 'integer', (column) => column.references('account.id'))
    .addColumn('approved_by', 'integer', (column) => column.references('account.id'))
    .addColumn('created_at', 'timestamptz', (column) => column.notNull().defaultTo(created))
    .execute()

  await db.schema
    .createTable('proposal')
    .addColumn('id', 'serial', (column) => column.primaryKey())
    .addColumn('kind', 'text', (column) => column.notNull())
    .addColumn('message', 'text', (column) => column.notNull())
    .addColumn('document', 'text', (column) => column.notNull())
    .addColumn('base', 'integer', (column) => column.notNull())
    .addColumn('created_by', 'integer', (column) => column.notNull().references('account.id'))
    .addColumn('created_at', 'timestamptz', (column) => column.notNull().defaultTo(created))
    .addColumn('closed_at', 'timestamptz')
    .execute()

  await db.schema
    .createTable('audit')
    .addColumn('id', 'bigserial', (column) => column.primaryKey())
    .addColumn('at', 'timestamptz', (column) => column.notNull().defaultTo(created))
    .addColumn('account_id', 'integer', (column) => column.references('account.id'))
    .addColumn('actor', 'text', (column) => column.notNull())
    .addColumn('action', 'text', (column) => column.notNull())
    .addColumn('subject', 'text', (column) => column.notNull())
    .addColumn('details', 'json', (column) => column.notNull())
    .execute()
  // What was done stays done: not even the studio itself can change it.
  await sql`create function refuse_change() returns trigger language plpgsql as $$
    begin raise exception '% is append-only', tg_table_name; end $$`.execute(db)
  for (const table of ['audit', 'version']) {
    await sql`create trigger ${sql.id(`${table}_append_only`)} before update or delete or truncate on ${sql.table(table)}
      for each statement execute function refuse_change()`.execute(db)
  }

  await db.schema
    .createTable('instance')
    .addColumn('id', 'text', (column) => column.primaryKey())
    .addColumn('host', 'text', (column) => column.notNull())
    .addColumn('pid', 'integer', (column) => column.notNull())
    .addColumn('report', 'json', (column) => column.notNull())
    .addColumn('received_at', 'timestamptz', (column) => column.notNull().defaultTo(created))
    .execute()
}

// biome-ignore lint/suspicious/noExplicitAny: a migration is about tables as they were then
async function addDraftRevision(db: Kysely<any>): Promise<void> {
  await db.schema
    .createTable('draft')
    .addColumn('id', 'integer', (column) => column.primaryKey().check(sql`id = 1`))
    .addColumn('revision', 'integer', (column) => column.notNull().defaultTo(1))
    .execute()
  await sql`insert into draft (id) values (1)`.execute(db)
}

// biome-ignore lint/suspicious/noExplicitAny: a migration is about tables as they were then
async function addPasswordLinks(db: Kysely<any>): Promise<void> {
  await db.schema
    .alterTable('invitation')
    .addColumn('account_id', 'integer', (column) => column.references('account.id'))
    .execute()
}

// biome-ignore lint/suspicious/noExplicitAny: a migration is about tables as they were then
async function addGitCommits(db: Kysely<any>): Promise<void> {
  await db.schema
    .createTable('git_commit')
    .addColumn('id', 'serial', (column) => column.primaryKey())
    .addColumn('commit', 'text', (column) => column.notNull())
    .addColumn('version', 'integer')
    .addColumn('problem', 'text')
    .addColumn('findings', 'json', (column) => column.notNull())
    .addColumn('created_at', 'timestamptz', (column) => column.notNull().defaultTo(sql`now()`))
    .execute()
}

// biome-ignore lint/suspicious/noExplicitAny: a migration is about tables as they were then
async function addSecondPerson(db: Kysely<any>): Promise<void> {
  await db.schema
    .alterTable('account')
    .addColumn('vouched_by', 'integer', (column) => column.references('account.id'))
    .addColumn('vouched_at', 'timestamptz')
    .execute()
  await db.schema
    .alterTable('api_token')
    .addColumn('made_by_token', 'integer', (column) => column.references('api_token.id'))
    .execute()
  await db.schema
    .alterTable('invitation')
    .addColumn('id', 'serial', (column) => column.notNull().unique())
    .addColumn('is_promotion', 'boolean', (column) => column.notNull().defaultTo(false))
    .addColumn('made_by_token', 'integer', (column) => column.references('api_token.id'))
    .addColumn('needs_second', 'boolean', (column) => column.notNull().defaultTo(false))
    .addColumn('confirmed_by', 'integer', (column) => column.references('account.id'))
    .execute()
  await db.schema.alterTable('instance').addColumn('reported_by', 'text').execute()
}

// biome-ignore lint/suspicious/noExplicitAny: a migration is about tables as they were then
async function addSecondFactor(db: Kysely<any>): Promise<void> {
  await db.schema
    .alterTable('account')
    .addColumn('totp_secret', 'text')
    .addColumn('totp_pending', 'text')
    .addColumn('totp_step', 'integer')
    .execute()
  await db.schema
    .createTable('recovery_code')
    .addColumn('account_id', 'integer', (column) => column.notNull().references('account.id').onDelete('cascade'))
    .addColumn('code_hash', 'text', (column) => column.notNull())
    .addPrimaryKeyConstraint('recovery_code_key', ['account_id', 'code_hash'])
    .execute()
}
