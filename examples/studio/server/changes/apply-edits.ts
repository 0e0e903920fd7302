import { createHash } from 'node:crypto'
import type { Conflict, EditKind, Fields, PluginKey } from '../../shared/changes.ts'
import { canonical, isSame, keyOf, type PlainDocument, type PlainDomain, type PlainPlugin } from './plain-document.ts'

/** What an edit is about: empty where a part of the key says nothing, as in an order of domains. */
export interface EditKey extends PluginKey {
  readonly kind: EditKind
}

/**
 * One change to what is live. `base`: as it was live when it was begun, `after`: as it is to be; null: not there.
 * Of a plugin and of general these are its fields, of an order the keys in it, of a domain a digest of what it had.
 */
export interface GivenEdit extends EditKey {
  readonly base: unknown
  readonly after: unknown
}

/** What is live with the edits in it, and where the two do not go together: there it has what the edits say. */
export interface Applied {
  readonly document: PlainDocument
  readonly conflicts: readonly (EditKey & { readonly conflicts: readonly Conflict[] })[]
}

/**
 * Merges fields that were changed here and in what is live since they were the same. A field that only one of the two has
 * changed is as that one has it.
 */
export function mergeFields(
  base: Fields | null,
  mine: Fields | null,
  live: Fields | null,
): { readonly fields: Fields | null; readonly conflicts: readonly Conflict[] } {
  if (isSame(base, live) || isSame(mine, live)) return { fields: mine, conflicts: [] }
  if (isSame(base, mine)) return { fields: live, conflicts: [] }
  if (mine === null || live === null) return { fields: mine, conflicts: [{ field: '', base, live, mine }] }
  const fields: Record<string, unknown> = {}
  const conflicts: Conflict[] = []
  for (const field of new Set([...Object.keys(live), ...Object.keys(mine)])) {
    const [was, here, there] = [base?.[field], mine[field], live[field]]
    const is_theirs = isSame(was, here)
    const value = is_theirs ? there : here
    if (value !== undefined) fields[field] = value
    if (!is_theirs && !isSame(was, there) && !isSame(here, there))
      conflicts.push({ field, base: was ?? null, live: there ?? null, mine: here ?? null })
  }
  return { fields, conflicts }
}

/** Of all that a domain has: whoever removes it has seen this much of it. */
export function digestOf(domain: PlainDomain | undefined): string | null {
  return domain === undefined ? null : createHash('sha1').update(canonical(domain)).digest('base64')
}

/** Puts a change set into what is live. */
export function applyEdits(live: PlainDocument, edits: readonly GivenEdit[]): Applied {
  const conflicts: (EditKey & { conflicts: readonly Conflict[] })[] = []
  const note = ({ kind, domain, name, phase }: GivenEdit, found: readonly Conflict[]) => {
    if (found.length > 0) conflicts.push({ kind, domain, name, phase, conflicts: found })
  }
  let { general } = live
  const domains = new Map(live.domains.map((domain) => [domain.name, domain]))
  const of = (kind: EditKind) => edits.filter((edit) => edit.kind === kind)

  for (const edit of of('general')) {
    const merged = mergeFields(edit.base as Fields, edit.after as Fields, general)
    general = merged.fields ?? {}
    note(edit, merged.conflicts)
  }
  for (const edit of of('domain')) {
    const known = domains.get(edit.domain)
    if (edit.after !== null) {
      if (known === undefined) domains.set(edit.domain, { name: edit.domain, plugins: [] })
      continue
    }
    if (known === undefined) continue
    const digest = digestOf(known)
    if (digest !== edit.base) note(edit, [{ field: '', base: edit.base, live: digest, mine: null }])
    domains.delete(edit.domain)
  }
  const groups = new Map<string, GivenEdit[]>()
  for (const edit of of('plugin')) {
    const group = groups.get(edit.domain)
    if (group === undefined) groups.set(edit.domain, [edit])
    else group.push(edit)
  }
  for (const [domain, group] of groups) {
    const plugins = new Map<string, PlainPlugin>(domains.get(domain)?.plugins.map((each) => [keyOf(each), each]))
    let count = 0
    for (const edit of group) {
      const key = keyOf(edit)
      const { fields, conflicts: found } = mergeFields(
        edit.base as Fields | null,
        edit.after as Fields | null,
        plugins.get(key)?.fields ?? null,
      )
      note(edit, found)
      if (fields === null) plugins.delete(key)
      else {
        plugins.set(key, { name: edit.name, phase: edit.phase, fields })
        count += 1
      }
    }
    // What is removed from a domain that is gone does not bring it back.
    if (domains.has(domain) || count > 0) domains.set(domain, { name: domain, plugins: [...plugins.values()] })
  }
  let list = [...domains.values()]
  for (const edit of of('order')) {
    const wanted = edit.after as readonly string[]
    if (edit.domain === '') list = putInOrder(list, ({ name }) => name, wanted)
    else
      list = list.map((each) =>
        each.name === edit.domain ? { ...each, plugins: putInOrder(each.plugins, keyOf, wanted) } : each,
      )
  }
  return { document: { general, domains: list }, conflicts }
}

/** What is named stands in the order wanted, in the places that it has together; the rest stays where it is. */
export function putInOrder<T>(items: readonly T[], key: (item: T) => string, wanted: readonly string[]): T[] {
  const places = new Map(wanted.map((name, at) => [name, at]))
  const placeOf = (item: T) => places.get(key(item)) as number
  const named = items.filter((item) => places.has(key(item))).sort((a, b) => placeOf(a) - placeOf(b))
  let next = 0
  return items.map((item) => (places.has(key(item)) ? (named[next++] as T) : item))
}
