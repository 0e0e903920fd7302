import type { Actor } from '../auth/actor.ts'
import { Problem } from '../problem.ts'
import type { EditKey } from './apply-edits.ts'
import { editSet, findEdit, putEdit, type SetRef } from './edit-set.ts'
import { type Desk, findDomain, idOf } from './plugins.ts'

const editKey = (kind: 'domain' | 'order', domain: string): EditKey => ({ kind, domain, name: '', phase: '' })

function refuseTaken(name: string): never {
  throw new Problem(409, `there is already a domain ${name}`, { fields: { name: 'is taken' } })
}

/** Adds a domain behind the others. */
export async function addDomain(desk: Desk, actor: Actor, set: SetRef, name: string): Promise<{ set: number }> {
  if ((await desk.workspace.ask(idOf(set), { about: 'domain', domain: name })) !== null) refuseTaken(name)
  return editSet(desk.db, actor, set, ['add domain', name], async (transaction, id) => {
    const edit = await findEdit(transaction, id, editKey('domain', name))
    if (edit !== undefined && edit.after !== null) refuseTaken(name)
    // One that this change set had removed is as it was.
    const base = edit?.base ?? null
    if (base !== null) await putEdit(transaction, actor, id, { ...editKey('domain', name), base, after: base })
    else await putEdit(transaction, actor, id, { ...editKey('domain', name), base, after: {} })
    return undefined
  })
}

/** Removes a domain and its plugins. */
export async function removeDomain(desk: Desk, actor: Actor, set: SetRef, domain: string): Promise<{ set: number }> {
  const { digest } = await findDomain(desk, set, domain)
  return editSet(desk.db, actor, set, ['remove domain', domain], async (transaction, id) => {
    await transaction.deleteFrom('change_edit').where('set_id', '=', id).where('domain', '=', domain).execute()
    if (digest !== null)
      await putEdit(transaction, actor, id, { ...editKey('domain', domain), base: digest, after: null })
    return undefined
  })
}

/**
 * Gives a domain another name: its plugins are for other hosts then.
 *
 * @throws Problem with 409 where the name is taken
 */
export async function renameDomain(
  desk: Desk,
  actor: Actor,
  set: SetRef,
  domain: string,
  name: string,
): Promise<{ set: number }> {
  const { digest, plugins } = await findDomain(desk, set, domain)
  if (name === domain) throw new Problem(422, 'name: it is called that already', { fields: { name: 'is the same' } })
  if ((await desk.workspace.ask(idOf(set), { about: 'domain', domain: name })) !== null) refuseTaken(name)
  const { domains } = await desk.workspace.ask(idOf(set), { about: 'document' })
  return editSet(desk.db, actor, set, ['rename domain', `${domain} → ${name}`], async (transaction, id) => {
    const gone = [domain, name]
    await transaction.deleteFrom('change_edit').where('set_id', '=', id).where('domain', 'in', gone).execute()
    if (digest !== null)
      await putEdit(transaction, actor, id, { ...editKey('domain', domain), base: digest, after: null })
    await putEdit(transaction, actor, id, { ...editKey('domain', name), base: null, after: {} })
    for (const plugin of plugins) {
      if (plugin.fields === null) continue
      const key: EditKey = { kind: 'plugin', domain: name, name: plugin.name, phase: plugin.phase }
      await putEdit(transaction, actor, id, { ...key, base: null, after: plugin.fields })
    }
    const order = domains.map((each) => (each === domain ? name : each))
    await putEdit(transaction, actor, id, { ...editKey('order', ''), base: domains, after: order })
    return undefined
  })
}

/** Puts a domain before another one; without that, behind all. */
export async function moveDomain(
  desk: Desk,
  actor: Actor,
  set: SetRef,
  domain: string,
  before: string | null,
): Promise<{ set: number }> {
  const { domains } = await desk.workspace.ask(idOf(set), { about: 'document' })
  for (const name of [domain, before]) {
    if (name !== null && !domains.includes(name)) throw new Problem(404, `there is no domain ${name} here`)
  }
  const rest = domains.filter((each) => each !== domain)
  const at = before === null ? rest.length : rest.indexOf(before)
  const order = before === domain ? domains : [...rest.slice(0, at), domain, ...rest.slice(at)]
  return editSet(desk.db, actor, set, ['move domain', domain], async (transaction, id) => {
    const edit = await findEdit(transaction, id, editKey('order', ''))
    await putEdit(transaction, actor, id, { ...editKey('order', ''), base: edit?.base ?? domains, after: order })
    return undefined
  })
}
