import type { Kysely } from 'kysely'
import type { Fields, PluginKey } from '../../shared/changes.ts'
import type { Actor } from '../auth/actor.ts'
import { Problem } from '../problem.ts'
import type { Tables } from '../store/tables.ts'
import type { EditKey } from './apply-edits.ts'
import { changeSet, conflictWith, dropEdit, editSet, findEdit, putEdit, type SetRef } from './edit-set.ts'
import { isSame, keyOf } from './plain-document.ts'
import type { IndexedPlugin } from './set-index.ts'
import { revisionOf, type Workspace } from './workspace.ts'

type Db = Kysely<Tables>

/** What is saved of a plugin. */
export interface GivenPlugin {
  readonly name: string
  readonly phase: string
  readonly fields: Fields
}

/** What plugins are changed in. */
export interface Desk {
  readonly db: Db
  readonly workspace: Workspace
}

const editKey = ({ domain, name, phase }: PluginKey): EditKey => ({ kind: 'plugin', domain, name, phase })
export const idOf = (set: SetRef): number | undefined => (typeof set === 'number' ? set : undefined)

/** @throws Problem where there is none */
export async function findDomain({ workspace }: Desk, set: SetRef, domain: string) {
  const found = await workspace.ask(idOf(set), { about: 'domain', domain })
  if (found === null) throw new Problem(404, `there is no domain ${domain} here; someone may have removed it`)
  return found
}

/** @throws Problem where there is none; one that the change set removes is there */
export async function findPlugin({ workspace }: Desk, set: number | undefined, key: PluginKey): Promise<IndexedPlugin> {
  const found = await workspace.ask(set, { about: 'plugin', ...key })
  if (found === null) throw new Problem(404, 'there is no such plugin; someone may have removed it')
  return found
}

function demandFree(
  plugins: readonly Pick<IndexedPlugin, 'name' | 'phase' | 'fields'>[],
  { name, phase }: Pick<PluginKey, 'name' | 'phase'>,
): void {
  const taken = plugins.some((each) => each.fields !== null && each.name === name && each.phase === phase)
  if (!taken) return
  const message = `the domain already has a plugin ${name} in the phase ${phase}`
  throw new Problem(409, message, { fields: { name: 'is taken' } })
}

/** Adds a plugin to a domain, behind the others. */
export async function addPlugin(
  desk: Desk,
  actor: Actor,
  set: SetRef,
  domain: string,
  plugin: GivenPlugin,
): Promise<{ set: number }> {
  const { plugins } = await findDomain(desk, set, domain)
  demandFree(plugins, plugin)
  return editSet(desk.db, actor, set, ['add plugin', `${domain}/${plugin.name}`], (transaction, id) =>
    placeNew(transaction, actor, id, domain, plugins, plugin),
  )
}

/** Puts one where none is. It may have been live, and be removed in this change set. */
async function placeNew(
  transaction: Db,
  actor: Actor,
  set: number,
  domain: string,
  plugins: readonly IndexedPlugin[],
  { name, phase, fields }: GivenPlugin,
): Promise<undefined> {
  const key = editKey({ domain, name, phase })
  // Somebody else may have just added it.
  if ((await findEdit(transaction, set, key))?.after != null) demandFree([{ name, phase, fields }], key)
  const was = plugins.find((each) => each.name === name && each.phase === phase)
  await putEdit(transaction, actor, set, { ...key, base: was?.live ?? null, after: fields })
  return undefined
}

/** What is said of a plugin that is saved. */
export interface Saving {
  /** The one that was changed, as the page had it. */
  readonly revision: string
  /** Whether what is saved settles where it and what is live do not go together. */
  readonly resolve: boolean
}

/**
 * Saves a plugin.
 *
 * @throws Problem with 409 and the plugin as it is now, when somebody else has saved or published it since
 */
export async function savePlugin(
  desk: Desk,
  actor: Actor,
  set: SetRef,
  key: PluginKey,
  plugin: GivenPlugin,
  { revision, resolve }: Saving,
): Promise<{ set: number }> {
  const known = await findPlugin(desk, idOf(set), key)
  const { domain } = key
  const is_renamed = plugin.name !== key.name || plugin.phase !== key.phase
  const { plugins } = await findDomain(desk, set, domain)
  if (is_renamed) demandFree(plugins, plugin)
  return editSet(desk.db, actor, set, ['save plugin', `${domain}/${plugin.name}`], async (transaction, id) => {
    const edit = await demandRevision(transaction, id, known, revision)
    if (!is_renamed) {
      // Until somebody says how they go together, what it was begun with is what they are held against.
      const base = known.conflicts.length > 0 && !resolve ? edit?.base : known.live
      await putEdit(transaction, actor, id, { ...editKey(key), base: base ?? null, after: plugin.fields })
      return undefined
    }
    await putEdit(transaction, actor, id, { ...editKey(key), base: known.live, after: null })
    await placeNew(transaction, actor, id, domain, plugins, plugin)
    const order = plugins
      .filter(({ fields }) => fields !== null)
      .map((each) => keyOf(keyOf(each) === keyOf(key) ? plugin : each))
    await putOrder(transaction, actor, id, domain, plugins, order)
    return undefined
  })
}

async function demandRevision(transaction: Db, set: number, known: IndexedPlugin, revision: string) {
  const edit = await findEdit(transaction, set, editKey(known))
  const is = revisionOf(edit, known.live)
  if (is !== revision) {
    const { domain, name, phase, live, fields } = known
    throw conflictWith({ domain, name, phase, fields: fields ?? {}, revision: is, live_fields: live })
  }
  return edit
}

/** Removes a plugin: with the change set, it goes from what is live. */
export async function removePlugin(desk: Desk, actor: Actor, set: SetRef, key: PluginKey, revision: string) {
  const known = await findPlugin(desk, idOf(set), key)
  return editSet(desk.db, actor, set, ['remove plugin', `${key.domain}/${key.name}`], async (transaction, id) => {
    await demandRevision(transaction, id, known, revision)
    await putEdit(transaction, actor, id, { ...editKey(key), base: known.live, after: null })
    return undefined
  })
}

/**
 * Removes every plugin whose time is up. One that somebody changes in the same moment stays.
 *
 * @param now in milliseconds since 1970
 * @throws Problem where there is none
 */
export async function removeExpired(
  { db, workspace }: Desk,
  actor: Actor,
  set: SetRef,
  now = Date.now(),
): Promise<{ set: number; removed: number }> {
  const expired = await workspace.ask(idOf(set), { about: 'expired', now })
  if (expired.length === 0) throw new Problem(409, 'no plugin has expired; someone may have removed them')
  return editSet(db, actor, set, ['remove plugins', `${expired.length} that expired`], async (transaction, id) => {
    let removed = 0
    for (const { live, fields, ...key } of expired) {
      const edit = await findEdit(transaction, id, editKey(key))
      if (edit !== undefined && !isSame(edit.after, fields)) continue
      await putEdit(transaction, actor, id, { ...editKey(key), base: live, after: null })
      removed += 1
    }
    return { removed }
  })
}

/** Where a plugin goes: before another one, or behind all, of its domain or of another. */
export interface Place {
  readonly to: string
  readonly before: Pick<PluginKey, 'name' | 'phase'> | null
}

/**
 * Moves a plugin. Plugins of one phase and priority run in this order.
 *
 * @throws Problem where the other domain has one of this name and phase
 */
export async function movePlugin(desk: Desk, actor: Actor, set: SetRef, key: PluginKey, { to, before }: Place) {
  const { fields, live } = await findPlugin(desk, idOf(set), key)
  if (fields === null) throw new Problem(409, 'this change set removes the plugin')
  const { plugins } = await findDomain(desk, set, to)
  const there = plugins.filter((each) => each.fields !== null)
  const is_other = to !== key.domain
  if (is_other) demandFree(plugins, key)
  const rest = there.map(keyOf).filter((each) => is_other || each !== keyOf(key))
  const at = before === null ? rest.length : rest.indexOf(keyOf(before))
  const is_own = before !== null && !is_other && keyOf(before) === keyOf(key)
  if (at === -1 && !is_own)
    throw new Problem(422, 'before: expected a plugin of that domain', { fields: { before: 'is of another domain' } })
  const order = is_own ? there.map(keyOf) : [...rest.slice(0, at), keyOf(key), ...rest.slice(at)]
  return editSet(desk.db, actor, set, ['move plugin', `${to}/${key.name}`], async (transaction, id) => {
    if (is_other) {
      await putEdit(transaction, actor, id, { ...editKey(key), base: live, after: null })
      await placeNew(transaction, actor, id, to, plugins, { ...key, fields })
    }
    if (!is_other || before !== null) await putOrder(transaction, actor, id, to, plugins, order)
    return undefined
  })
}

/** The order of a domain; none is kept where it is that of what is live. */
async function putOrder(
  transaction: Db,
  actor: Actor,
  set: number,
  domain: string,
  plugins: readonly IndexedPlugin[],
  order: readonly string[],
): Promise<void> {
  const key: EditKey = { kind: 'order', domain, name: '', phase: '' }
  const edit = await findEdit(transaction, set, key)
  const base = edit?.base ?? plugins.filter(({ fields }) => fields !== null).map(keyOf)
  await putEdit(transaction, actor, set, { ...key, base, after: order })
}

/** Takes one change out of a change set; what was added to a domain goes with the domain. */
export function discardEdit(desk: Desk, actor: Actor, set: number, key: EditKey): Promise<{ set: number }> {
  const what = key.kind === 'plugin' ? `${key.domain}/${key.name}` : key.domain || key.kind
  return editSet(desk.db, actor, set, ['discard change', what], async (transaction, id) => {
    const edit = await findEdit(transaction, id, key)
    if (edit === undefined) throw new Problem(404, 'there is no such change; someone may have discarded it')
    await dropEdit(transaction, id, key)
    if (key.kind === 'domain' && edit.after !== null)
      await transaction.deleteFrom('change_edit').where('set_id', '=', id).where('domain', '=', key.domain).execute()
    return undefined
  })
}

/** Puts the change of one plugin, and what it needs, into a change set of its own: so that it can be published alone. */
export function splitPlugin(desk: Desk, actor: Actor, set: number, key: PluginKey): Promise<{ set: number }> {
  return desk.db.transaction().execute(async (transaction) => {
    await changeSet(transaction, actor, set, ['split change set', `${key.domain}/${key.name}`], async (_, id) => {
      if ((await findEdit(transaction, id, editKey(key))) === undefined)
        throw new Problem(404, 'there is no such change; someone may have discarded it')
      return undefined
    })
    const begun: readonly [string, string] = ['begin change set', key.name]
    const { set: made } = await changeSet(transaction, actor, { name: key.name }, begun, async () => undefined)
    await transaction
      .updateTable('change_edit')
      .set({ set_id: made })
      .where('set_id', '=', set)
      .where(({ eb, and, or }) =>
        or([
          and([
            eb('kind', '=', 'plugin'),
            eb('domain', '=', key.domain),
            eb('name', '=', key.name),
            eb('phase', '=', key.phase),
          ]),
          and([eb('kind', '=', 'domain'), eb('domain', '=', key.domain)]),
        ]),
      )
      .execute()
    return { set: made }
  })
}
