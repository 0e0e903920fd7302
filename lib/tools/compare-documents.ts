import type { Document, PluginSpec, RefusedPlugin } from '../document.ts'
import type { Share } from '../matching/rollout.ts'
import type { StopRules } from '../matching/stop-when.ts'

/** A difference between two documents. */
export interface Difference {
  readonly kind: 'added' | 'removed' | 'changed'
  /** null for a difference of the whole document. */
  readonly domain: string | null
  /** null for a difference of the whole domain. */
  readonly plugin: string | null
  readonly phase: string | null
  /** In words, one change per line. For an added or removed plugin: every field that it runs or ran with, with defaults. */
  readonly changes: readonly string[]
  /** The same, field by field. Members of objects have a dotted name, such as `params.limit`. */
  readonly fields: readonly FieldChange[]
  /** The plugin's code before and after, if it changed. `before` is empty for an added plugin, `after` for a removed one. */
  readonly code: { readonly before: string; readonly after: string } | null
}

/** A field before and after. null: the document does not have it. Values other than strings are written as JSON. */
export interface FieldChange {
  readonly name: string
  readonly before: string | null
  readonly after: string | null
}

/** Compares what two documents mean: where references lead, and which defaults hold. */
export function compareDocuments(before: Document, after: Document): Difference[] {
  const whole = compareFields(describeWhole(before), describeWhole(after))
  const [old, now] = [indexPlugins(before), indexPlugins(after)]
  const domains = compareDomains(before, after)
  const plugins = [...new Set([...old.keys(), ...now.keys()])].flatMap((key) =>
    comparePlugins(old.get(key), now.get(key)),
  )
  const about = { domain: null, plugin: null, phase: null, code: null }
  return [
    ...(whole.length === 0 ? [] : [{ ...tell('changed', whole), ...about }]),
    ...domains,
    ...compareOrders(old, now),
    ...plugins,
  ]
}

/** The fields, and the same in words. */
function tell(kind: Difference['kind'], fields: readonly FieldChange[]) {
  const words = ({ before, after }: FieldChange) =>
    kind === 'changed' ? `${before ?? 'none'} → ${after ?? 'none'}` : (after ?? before)
  return { kind, changes: fields.map((field) => `${field.name}: ${words(field)}`), fields }
}

type Plugin = PluginSpec | RefusedPlugin

/** By what a plugin is known by, in the order of the document. */
function indexPlugins({ domains }: Document): ReadonlyMap<string, Plugin> {
  const plugins = domains.flatMap((domain) => ('error' in domain ? [] : domain.plugins))
  return new Map(plugins.map((plugin) => [JSON.stringify([plugin.domain, nameOf(plugin), plugin.phase]), plugin]))
}

function nameOf({ name, id }: Plugin): string {
  return name ?? String(id)
}

function comparePlugins(old: Plugin | undefined, now: Plugin | undefined): Difference[] {
  const plugin = now ?? old
  if (plugin === undefined) return []
  const about = { domain: plugin.domain, plugin: nameOf(plugin), phase: plugin.phase ?? null }
  // What is refused now does not run with other fields: what ran before it goes on, or nothing does.
  const is_refused = now !== undefined && 'error' in now && old !== undefined && !('error' in old)
  const code = is_refused ? null : codeOf(old, now)
  const fields = compareFields(old && !is_refused ? describePlugin(old) : {}, now && describePlugin(now))
  const kind = old === undefined ? 'added' : now === undefined ? 'removed' : 'changed'
  return kind === 'changed' && fields.length === 0 && code === null ? [] : [{ ...tell(kind, fields), ...about, code }]
}

/** Which plugins of a domain and phase now run in another order; new ones do not count. */
function compareOrders(old: ReadonlyMap<string, Plugin>, now: ReadonlyMap<string, Plugin>): Difference[] {
  const orders = (keys: Iterable<string>, other: ReadonlyMap<string, Plugin>) => {
    const groups = new Map<string, string[]>()
    for (const key of keys) {
      const [domain, name, phase] = JSON.parse(key)
      const group = JSON.stringify([domain, phase])
      if (other.has(key)) groups.set(group, [...(groups.get(group) ?? []), name])
    }
    return groups
  }
  const [before, after] = [orders(old.keys(), now), orders(now.keys(), old)]
  return [...after].flatMap(([group, names]): Difference[] => {
    const [domain, phase] = JSON.parse(group)
    const [was, is] = [before.get(group)?.join(', ') ?? '', names.join(', ')]
    if (was === is) return []
    const order = { name: `order in ${phase}`, before: was, after: is }
    return [{ ...tell('changed', [order]), domain, plugin: null, phase, code: null }]
  })
}

function codeOf(old: Plugin | undefined, now: Plugin | undefined): Difference['code'] {
  const [before, after] = [runnableCode(old), runnableCode(now)]
  return before === after ? null : { before, after }
}

/** What is refused runs as something else, or not at all: its fault says so. */
const runnableCode = (plugin: Plugin | undefined) => (plugin === undefined || 'error' in plugin ? '' : plugin.code)

function compareDomains(before: Document, after: Document): Difference[] {
  const faults = (document: Document) =>
    new Map(document.domains.map((domain) => [domain.name, 'error' in domain ? domain.error.message : null]))
  const [old, now] = [faults(before), faults(after)]
  const about = (domain: string) => ({ domain, plugin: null, phase: null, code: null })
  const changed = [...now].flatMap(([domain, is]): Difference[] => {
    const was = old.get(domain)
    if (was === undefined || was === is) return []
    return [{ ...tell('changed', [{ name: 'refused', before: was ?? 'no', after: is ?? 'no' }]), ...about(domain) }]
  })
  const only = (kind: 'added' | 'removed', some: typeof old, other: typeof old) =>
    [...some.keys()].filter((name) => !other.has(name)).map((name) => ({ ...tell(kind, []), ...about(name) }))
  return [...only('removed', old, now), ...only('added', now, old), ...changed]
}

function describeWhole({ enabled, version, expires, allow_removal, skip }: Document): Record<string, unknown> {
  return {
    'general.status': enabled ? 'enabled' : 'disabled',
    'general.version': version,
    'general.expires': timeOf(expires),
    'general.allow_removal': allow_removal,
    'general.skip_domains': skip.map((pattern) =>
      pattern.kind === 'expression'
        ? pattern.expression.source
        : pattern.kind === 'any'
          ? '*'
          : 'host' in pattern
            ? pattern.host
            : `*${pattern.suffix}`,
    ),
  }
}

/** Every field that a plugin runs with; what is new in the format comes by itself. */
function describePlugin(plugin: Plugin): Record<string, unknown> {
  if ('error' in plugin) return { refused: plugin.error.message }
  const { domain: _domain, name: _name, id: _id, phase: _phase, path: _path, code: _code, ...settings } = plugin
  const { scope, shadow, ...rest } = settings
  const { share, stop_when, enabled, when, starts_at, expires_at, ...conditions } = scope
  return {
    enabled,
    mode: shadow ? 'shadow' : 'live',
    when,
    rollout: share && describeRollout(share, stop_when),
    starts_at: timeOf(starts_at),
    expires_at: timeOf(expires_at),
    ...conditions,
    ...rest,
  }
}

function describeRollout({ by, from, to, schedule }: Share, stop_when: StopRules | undefined): object {
  const share =
    schedule === undefined
      ? { percent: to - from, by, from: from || undefined }
      : { by, steps: schedule.map((step) => ({ percent: step.percent, from: timeOf(step.from) })) }
  return { ...share, stop_when: stop_when && describeStopWhen(stop_when) }
}

/** As the document has it, with what it leaves to dynacode. */
function describeStopWhen({ rules, min_runs, window_ms }: StopRules): object {
  const bounds = rules.map(({ condition, limit, above_control }) => [
    condition,
    above_control ? { above_control: limit } : limit,
  ])
  return { ...Object.fromEntries(bounds), min_runs, window: `${window_ms / 1000}s` }
}

function compareFields(before: Record<string, unknown> = {}, after: Record<string, unknown> = {}): FieldChange[] {
  const [old, now] = [new Map(flatten(before)), new Map(flatten(after))]
  return [...new Set([...old.keys(), ...now.keys()])].flatMap((name) => {
    const change = { name, before: old.get(name) ?? null, after: now.get(name) ?? null }
    return change.before === change.after ? [] : [change]
  })
}

/**
 * Members of objects each by itself, in a name that says where they are and a text that says what they are: two values
 * that a plugin could tell apart are never written alike.
 */
function* flatten(fields: object, above = ''): Generator<[name: string, written: string]> {
  for (const [key, value] of Object.entries(fields)) {
    const name = above === '' ? key : /^[\w-]+$/.test(key) ? `${above}.${key}` : `${above}[${JSON.stringify(key)}]`
    if (value === undefined || (above === '' && isEmpty(value))) continue
    if (isObject(value) && !Array.isArray(value) && !isEmpty(value)) yield* flatten(value, name)
    else yield [name, typeof value === 'string' && !name.startsWith('params') ? value : JSON.stringify(value)]
  }
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null
}

const isEmpty = (value: unknown) => isObject(value) && Object.keys(value).length === 0

function timeOf(time: number | undefined): string | undefined {
  return time === undefined ? undefined : new Date(time).toISOString()
}
