import type { ChangeKind, Conflict, Domain, Fields, PluginKey } from '../../shared/changes.ts'
import { applyEdits, digestOf, type GivenEdit } from './apply-edits.ts'
import { isSame, keyOf, type PlainDocument } from './plain-document.ts'

/** A page of a list. */
interface Page {
  readonly search?: string | undefined
  readonly from: number
  readonly limit: number
}

/** What is asked of what is live with a change set in it. */
export type SetQuestion =
  | ({ readonly about: 'domains' } & Page)
  | ({ readonly about: 'plugins'; readonly domain?: string | undefined } & Page)
  | ({ readonly about: 'plugin' } & PluginKey)
  | { readonly about: 'domain'; readonly domain: string }
  | { readonly about: 'document' }
  /** Those whose time is up; `now` in milliseconds since 1970. */
  | { readonly about: 'expired'; readonly now: number }

/** A plugin as it is and as it is live, each null where it is not there. */
export interface IndexedPlugin extends PluginKey {
  readonly fields: Fields | null
  readonly live: Fields | null
  readonly change: ChangeKind | null
  readonly conflicts: readonly Conflict[]
}

export interface SetAnswers {
  domains: readonly Domain[]
  plugins: readonly IndexedPlugin[]
  plugin: IndexedPlugin | null
  expired: readonly IndexedPlugin[]
  /** Null where there is none; with the digest that it has live. */
  domain: { readonly digest: string | null; readonly plugins: readonly IndexedPlugin[] } | null
  /** What holds for all of it, and the names of its domains. */
  document: {
    readonly general: Fields
    readonly live_general: Fields
    readonly conflicts: readonly Conflict[]
    readonly domains: readonly string[]
  }
}
export type SetAnswer<Q extends SetQuestion> = SetAnswers[Q['about']]

/** Answers questions about a document. */
export type SetIndex = <Q extends SetQuestion>(question: Q) => SetAnswer<Q>

/** What only the page of a plugin shows: a list of many would be heavy by it. */
const HEAVY = ['code', 'variants', 'params']

export function indexSet(live: PlainDocument, edits: readonly GivenEdit[]): SetIndex {
  const { document, conflicts } = applyEdits(live, edits)
  const found = new Map(
    conflicts.map((each) => [JSON.stringify([each.kind, each.domain, each.name, each.phase]), each]),
  )
  const conflictsOf = (kind: string, domain: string, name: string, phase: string) =>
    found.get(JSON.stringify([kind, domain, name, phase]))?.conflicts ?? []
  const old = new Map(live.domains.map((each) => [each.name, each]))
  const now = new Map(document.domains.map((each) => [each.name, each]))
  const touched = new Set(edits.map(({ domain }) => domain))

  const rowsOf = new Map<string, readonly IndexedPlugin[]>()
  for (const domain of [...now.keys(), ...[...old.keys()].filter((name) => !now.has(name))]) {
    const before = new Map(touched.has(domain) ? old.get(domain)?.plugins.map((each) => [keyOf(each), each]) : [])
    const is_live = !touched.has(domain)
    const rows = (now.get(domain)?.plugins ?? []).map((each): IndexedPlugin => {
      const was = is_live ? each : before.get(keyOf(each))
      before.delete(keyOf(each))
      const change = was === undefined ? 'added' : isSame(was.fields, each.fields) ? null : 'changed'
      const { name, phase, fields } = each
      return {
        domain,
        name,
        phase,
        fields,
        live: was?.fields ?? null,
        change,
        conflicts: conflictsOf('plugin', domain, name, phase),
      }
    })
    const gone = [...before.values()].map(
      ({ name, phase, fields }): IndexedPlugin => ({
        domain,
        name,
        phase,
        fields: null,
        live: fields,
        change: 'removed',
        conflicts: conflictsOf('plugin', domain, name, phase),
      }),
    )
    rowsOf.set(domain, [...rows, ...gone])
  }
  const plugins = [...rowsOf.values()].flat()
  const domains = [...rowsOf.keys()].map(
    (name): Domain => ({
      name,
      plugins: now.get(name)?.plugins.length ?? 0,
      change: !old.has(name) ? 'added' : now.has(name) ? null : 'removed',
    }),
  )
  const light = (fields: Fields | null) =>
    fields && Object.fromEntries(Object.entries(fields).filter(([key]) => !HEAVY.includes(key)))

  const answers: { [K in keyof SetAnswers]: (question: Extract<SetQuestion, { about: K }>) => SetAnswers[K] } = {
    domains: (page) => take(domains, page),
    plugins: ({ domain, ...page }) =>
      take(domain === undefined ? plugins : (rowsOf.get(domain) ?? []), page).map((each) => ({
        ...each,
        fields: light(each.fields),
        live: light(each.live),
      })),
    plugin: ({ domain, name, phase }) =>
      rowsOf.get(domain)?.find((each) => each.name === name && each.phase === phase) ?? null,
    domain: ({ domain }) => {
      const rows = rowsOf.get(domain)
      return rows === undefined || !now.has(domain) ? null : { digest: digestOf(old.get(domain)), plugins: rows }
    },
    expired: ({ now }) => plugins.filter(({ fields }) => expiryOf(fields) <= now),
    document: () => ({
      general: document.general,
      live_general: live.general,
      conflicts: conflictsOf('general', '', '', ''),
      domains: [...now.keys()],
    }),
  }
  return (question) => (answers[question.about] as (asked: SetQuestion) => never)(question)
}

/** When a plugin ends, in milliseconds since 1970; infinite where it does not. */
export function expiryOf(fields: Fields | null): number {
  const time = typeof fields?.expires_at === 'string' ? Date.parse(fields.expires_at) : Number.NaN
  return Number.isNaN(time) ? Number.POSITIVE_INFINITY : time
}

function take<T extends { readonly name: string }>(
  list: readonly T[],
  { search = '', from, limit }: Page,
): readonly T[] {
  const wanted = search.toLowerCase()
  const found = wanted === '' ? list : list.filter(({ name }) => name.toLowerCase().includes(wanted))
  return found.slice(from, from + limit)
}
