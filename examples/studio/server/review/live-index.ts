import type { PluginKey } from '../../shared/changes.ts'
import type { Live, LiveDomain, LivePlugin } from '../../shared/live.ts'
import type { Paged } from '../store/paged.ts'

/** What is live, in short: as far as the document says it. */
type LiveSummary = Pick<Live, 'version' | 'enabled' | 'plugins'>

/** Who answers for a plugin, and what to do when it fails. */
export type Contact = Pick<LivePlugin, 'owner' | 'runbook'>

/** A plugin by the names of its domain and its own. */
export type PluginName = Pick<PluginKey, 'domain' | 'name'>

/** What is asked of what is live. */
export type LiveQuestion =
  | { readonly about: 'summary' }
  | { readonly about: 'domains'; readonly page: Paged }
  | { readonly about: 'plugins'; readonly page: Paged & { readonly domain?: string | undefined } }
  /** Who answers for each of these, in their order. */
  | { readonly about: 'contacts'; readonly plugins: readonly PluginName[] }
  /** What is live of a plugin's rollout. */
  | { readonly about: 'rollout'; readonly domain: string; readonly plugin: string; readonly phase: string }

/** The rollout of a plugin as the document has it, and the steps that the studio is to take. */
export interface LiveRollout {
  readonly rollout: Readonly<Record<string, unknown>> | null
  readonly steps: unknown
}

/** The answers, by what was asked about. */
export interface LiveAnswers {
  readonly summary: LiveSummary
  readonly domains: readonly LiveDomain[]
  readonly plugins: readonly LivePlugin[]
  readonly contacts: readonly Contact[]
  readonly rollout: LiveRollout
}
export type LiveAnswer = LiveAnswers[keyof LiveAnswers]

/** What is live, by name: the draft may have other names, or nothing of it any more. */
export interface LiveIndex extends LiveSummary {
  readonly domain_list: readonly LiveDomain[]
  readonly plugin_list: readonly LivePlugin[]
  /** Of plugins that have one, by domain, name and phase as JSON. */
  readonly rollouts: ReadonlyMap<string, LiveRollout>
}

/** Looks something up. */
export function askLive(
  { version, enabled, plugins, domain_list, plugin_list, rollouts }: LiveIndex,
  asked: LiveQuestion,
): LiveAnswer {
  if (asked.about === 'summary') return { version, enabled, plugins }
  if (asked.about === 'domains') return take(domain_list, asked.page)
  if (asked.about === 'rollout') {
    return rollouts.get(JSON.stringify([asked.domain, asked.plugin, asked.phase])) ?? { rollout: null, steps: null }
  }
  if (asked.about === 'contacts') return asked.plugins.map((plugin) => findContact(plugin_list, plugin))
  const { domain, ...page } = asked.page
  return take(domain === undefined ? plugin_list : plugin_list.filter((plugin) => plugin.domain === domain), page)
}

function findContact(list: readonly LivePlugin[], plugin: PluginName): Contact {
  const found = list.find(({ domain, name }) => domain === plugin.domain && name === plugin.name)
  return { owner: found?.owner ?? null, runbook: found?.runbook ?? null }
}

function take<T extends { readonly id: number; readonly name: string }>(
  list: readonly T[],
  { search = '', after = 0, limit }: Paged,
): readonly T[] {
  const wanted = search.toLowerCase()
  const page: T[] = []
  for (const item of list) {
    if (page.length === limit) break
    if (item.id > after && item.name.toLowerCase().includes(wanted)) page.push(item)
  }
  return page
}

interface Entry {
  readonly name: string
  readonly phase: string
  readonly enabled?: boolean | null
  readonly mode?: string | null
  readonly rollout?: { readonly [field: string]: unknown; readonly percent?: number | null } | null
  readonly 'x-steps'?: unknown
  readonly 'x-owner'?: unknown
  readonly 'x-runbook'?: unknown
}

interface LiveDocument {
  readonly general?: { readonly status?: string | null } | null
  readonly domains: readonly { readonly name: string; readonly plugins: readonly Entry[] }[]
}

/** Reads a version. */
export function indexLive(version: number, text: string): LiveIndex {
  const { general, domains } = JSON.parse(text) as LiveDocument
  const plugin_list = domains
    .flatMap(({ name: domain, plugins }) => plugins.map((plugin) => ({ domain, plugin })))
    .map(({ domain, plugin }, at): LivePlugin => {
      const { name, phase, enabled, mode, rollout } = plugin
      const percent = rollout?.percent ?? null
      return {
        id: at + 1,
        domain,
        name,
        phase,
        enabled: enabled !== false,
        mode: mode === 'shadow' ? mode : 'live',
        percent,
        ...readContact(plugin),
      }
    })
  const domain_list = domains.map(({ name, plugins }, at): LiveDomain => {
    const enabled = plugins.filter((plugin) => plugin.enabled !== false).length
    return { id: at + 1, name, plugins: plugins.length, enabled }
  })
  const rollouts = new Map(
    domains.flatMap(({ name: domain, plugins }) =>
      plugins.flatMap(({ name, phase, rollout, 'x-steps': steps }) =>
        rollout == null ? [] : [[JSON.stringify([domain, name, phase]), { rollout, steps: steps ?? null }] as const],
      ),
    ),
  )
  return {
    version,
    enabled: (general?.status ?? 'enabled') === 'enabled',
    plugins: plugin_list.length,
    domain_list,
    plugin_list,
    rollouts,
  }
}

/** What people have written: what is no short text, or no address that a browser may open, counts as not there. */
function readContact({ 'x-owner': owner, 'x-runbook': runbook }: Entry): Contact {
  return {
    owner: typeof owner === 'string' && owner !== '' ? owner.slice(0, 200) : null,
    runbook: typeof runbook === 'string' && /^https?:\/\/\S{1,1000}$/.test(runbook) ? runbook : null,
  }
}
