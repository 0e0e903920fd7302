import type { Kysely } from 'kysely'
import type { Action, ActionInput } from '../../shared/actions.ts'
import type { Actor } from '../auth/actor.ts'
import { Problem } from '../problem.ts'
import { writeAudit } from '../store/audit.ts'
import type { Tables } from '../store/tables.ts'
import type { MadePlugin } from './recipes.ts'

type Db = Kysely<Tables>

const MOST_TEMPLATES = 100

/** A template of the team's own: a plugin, of whose parameters texts, numbers and yes or no are filled in anew each time. */
export interface Template extends MadePlugin {
  readonly id: number
  readonly title: string
}

/** Every template, by title. */
export function listTemplates(db: Db): Promise<Template[]> {
  return db.selectFrom('action_template').select(['id', 'title', 'name', 'phase', 'fields']).orderBy('title').execute()
}

/** @throws Problem where there is none */
export async function findTemplate(db: Db, id: number): Promise<Template> {
  const found = await db
    .selectFrom('action_template')
    .select(['id', 'title', 'name', 'phase', 'fields'])
    .where('id', '=', id)
    .executeTakeFirst()
  if (found === undefined) throw new Problem(404, 'there is no such template')
  return found
}

/** Keeps a plugin as a template. @throws Problem where there are too many */
export async function addTemplate(db: Db, actor: Actor, title: string, plugin: MadePlugin): Promise<number> {
  return db.transaction().execute(async (transaction) => {
    const { length } = await transaction.selectFrom('action_template').select('id').execute()
    if (length >= MOST_TEMPLATES) throw new Problem(409, `there are ${MOST_TEMPLATES} templates already: remove one`)
    const { name, phase, fields } = plugin
    const { id } = await transaction
      .insertInto('action_template')
      .values({ title, name, phase, fields: JSON.stringify(fields), created_by: actor.account_id })
      .returning('id')
      .executeTakeFirstOrThrow()
    await writeAudit(transaction, actor, 'add template', title)
    return id
  })
}

/** Forgets a template; plugins that were made of it stay. */
export async function removeTemplate(db: Db, actor: Actor, id: number): Promise<void> {
  await db.transaction().execute(async (transaction) => {
    const { title } = await findTemplate(transaction, id)
    await transaction.deleteFrom('action_template').where('id', '=', id).execute()
    await writeAudit(transaction, actor, 'remove template', title)
  })
}

/** A template as a form. */
export function describeTemplate({ id, title, name, phase, fields }: Template): Action {
  return {
    kind: `template-${id}`,
    title,
    what: `A template of yours: ${name}, ${phase}`,
    action: 'Make it',
    inputs: inputsOf(fields),
    template: id,
  }
}

function inputsOf({ params }: MadePlugin['fields']): ActionInput[] {
  return Object.entries((params ?? {}) as Record<string, unknown>)
    .filter(([, value]) => isSimple(value))
    .map(([name, value]) => ({
      name,
      label: name,
      hint: typeof value === 'boolean' ? 'true or false' : null,
      placeholder: null,
      type: typeof value === 'number' ? 'number' : 'text',
      value: String(value),
    }))
}

/** Fills a template in. @throws Problem that names the fields whose type is another */
export function fillTemplate({ name, phase, fields }: Template, values: Readonly<Record<string, unknown>>): MadePlugin {
  const params = { ...((fields.params ?? {}) as Record<string, unknown>) }
  const faults: Record<string, string> = {}
  for (const [key, known] of Object.entries(params)) {
    if (!isSimple(known) || !Object.hasOwn(values, key)) continue
    const text = String(values[key]).trim().slice(0, 10_000)
    const value = typeof known === 'number' ? Number(text) : typeof known === 'boolean' ? text === 'true' : text
    if (typeof known === 'number' && (text === '' || !Number.isFinite(value)))
      faults[`values.${key}`] = 'expected a number'
    else if (typeof known === 'boolean' && !/^(true|false)$/.test(text))
      faults[`values.${key}`] = 'expected true or false'
    else params[key] = value
  }
  const [first] = Object.entries(faults)
  if (first !== undefined) throw new Problem(422, `${first[0]}: ${first[1]}`, { fields: faults })
  return { name, phase, fields: fields.params === undefined ? fields : { ...fields, params } }
}

function isSimple(value: unknown): value is string | number | boolean {
  return ['string', 'number', 'boolean'].includes(typeof value)
}
