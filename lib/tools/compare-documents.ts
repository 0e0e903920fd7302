import type { Document, PluginSpec, RefusedPlugin } from '../document.ts'

/** A difference between two documents. */
export interface Difference {
  readonly kind: 'added' | 'removed' | 'changed'
  /** Undefined for a difference of the whole document. */
  readonly domain: string | null
  /** Undefined for a difference of the whole domain. */
  readonly plugin: string | null
  readonly phase: string | null
  /** In words, one change per line. */
  readonly changes: readonly string[]
  /** The plugin's code before and after, if it changed. */
  readonly code: { readonly before: string; readonly after: string } | null
}

/** Compares what two documents mean: where references lead, and which defaults hold. */
export function compareDocuments(before: Document, after: Document): Difference[] {
  const whole = listChanges(describeWhole(before), describeWhole(after))
  const [old, now] = [indexPlugins(before), indexPlugins(after)]
  const domains = compareDomains(before, after)
  const plugins = [...new Set([...old.keys(), ...now.keys()])].flatMap((key) =>
    comparePlugins(old.get(key), now.get(key)),
  )
  const about = { domain: null, plugin: null, phase: null, code: null }
  return [
    ...(whole.length === 0 ? [] : [{ kind: 'changed' as const, ...about, changes: whole }]),
    ...domains,
    ...compareOrders(old, now),
    ...plugins,
  ]
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
  const about = (plugin: Plugin) => ({ domain: plugin.domain, plugin: nameOf(plugin), phase: plugin.phase ?? null })
  if (now === undefined) return old === undefined ? [] : [{ kind: 'removed', ...about(old), changes: [], code: null }]
  const code = codeOf(old, now)
  if (old === undefined) return [{ kind: 'added', ...about(now), changes: describeScope(now), code }]
  const is_refused = 'error' in old || 'error' in now
  const changes = is_refused
    ? listChanges({ refused: faultOf(old) }, { refused: faultOf(now) })
    : listChanges(describePlugin(old), describePlugin(now))
  return changes.length === 0 && code === null ? [] : [{ kind: 'changed', ...about(now), changes, code }]
}

function faultOf(plugin: Plugin): string | undefined {
  return 'error' in plugin ? plugin.error.message : undefined
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
    return [
      { kind: 'changed', domain, plugin: null, phase, changes: [`order in ${phase}: ${was} → ${is}`], code: null },
    ]
  })
}

function codeOf(old: Plugin | undefined, now: Plugin): Difference['code'] {
  if ('error' in now || (old !== undefined && 'error' in old)) return null
  const before = old?.code ?? ''
  return before === now.code ? null : { before, after: now.code }
}

function compareDomains(before: Document, after: Document): Difference[] {
  const [old, now] = [before, after].map(({ domains }) => new Set(domains.map(({ name }) => name))) as [
    Set<string>,
    Set<string>,
  ]
  const tell = (kind: 'added' | 'removed') => (domain: string) => ({
    kind,
    domain,
    plugin: null,
    phase: null,
    changes: [],
    code: null,
  })
  const refused = (document: Document) =>
    new Map(document.domains.flatMap((domain) => ('error' in domain ? [[domain.name, domain.error.message]] : [])))
  const changed = [...now].flatMap((domain): Difference[] => {
    const [was, is] = [refused(before).get(domain), refused(after).get(domain)]
    if (!old.has(domain) || was === is) return []
    return [{ ...tell('added')(domain), kind: 'changed', changes: [`refused: ${was ?? 'no'} → ${is ?? 'no'}`] }]
  })
  return [
    ...[...old].filter((domain) => !now.has(domain)).map(tell('removed')),
    ...[...now].filter((domain) => !old.has(domain)).map(tell('added')),
    ...changed,
  ]
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

function describePlugin(plugin: PluginSpec): Record<string, unknown> {
  const { params, priority, on_failure, guard, budget_ms, timeout_ms, shadow, shadow_allows } = plugin
  const { when, share, starts_at, expires_at, enabled } = plugin.scope
  return {
    enabled,
    mode: shadow ? 'shadow' : 'live',
    when,
    rollout: share && { percent: share.to - share.from, by: share.by, from: share.from },
    starts_at: timeOf(starts_at),
    expires_at: timeOf(expires_at),
    params,
    priority,
    on_failure,
    guard,
    budget_ms,
    timeout_ms,
    shadow_allows,
  }
}

/** For whom a new plugin is, as far as that is not everybody. */
function describeScope(plugin: Plugin): string[] {
  if ('error' in plugin) return [`refused: ${plugin.error.message}`]
  const { enabled, mode, when, rollout, starts_at, expires_at } = describePlugin(plugin)
  const off = enabled === true ? undefined : enabled
  const said = { enabled: off, mode: mode === 'live' ? undefined : mode, when, rollout, starts_at, expires_at }
  return Object.entries(said).flatMap(([name, value]) => (value === undefined ? [] : [`${name}: ${write(value)}`]))
}

function listChanges(before: Record<string, unknown>, after: Record<string, unknown>): string[] {
  return [...new Set([...Object.keys(before), ...Object.keys(after)])].flatMap((name) => {
    const [old, now] = [write(before[name]), write(after[name])]
    return old === now ? [] : [`${name}: ${old} → ${now}`]
  })
}

function write(value: unknown): string {
  return value === undefined ? 'none' : typeof value === 'string' ? value : JSON.stringify(value)
}

function timeOf(time: number | undefined): string | undefined {
  return time === undefined ? undefined : new Date(time).toISOString()
}
