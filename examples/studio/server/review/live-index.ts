import type { Live, LiveDomain, LivePlugin } from '../../shared/live.ts'
import type { Paged } from '../store/paged.ts'

/** What is live, in short: as far as the document says it. */
type LiveSummary = Pick<Live, 'version' | 'enabled' | 'plugins'>

/** What is asked of what is live. */
export type LiveQuestion =
  | { readonly about: 'summary' }
  | { readonly about: 'domains'; readonly page: Paged }
  | { readonly about: 'plugins'; readonly page: Paged & { readonly domain?: string | undefined } }

/** The answer: a summary, domains or plugins, as it was asked. */
export type LiveAnswer = LiveSummary | readonly LiveDomain[] | readonly LivePlugin[]

/** What is live, by name: the draft may have other names, or nothing of it any more. */
export interface LiveIndex extends LiveSummary {
  readonly domain_list: readonly LiveDomain[]
  readonly plugin_list: readonly LivePlugin[]
}

/** Looks something up. */
export function askLive(
  { version, enabled, plugins, domain_list, plugin_list }: LiveIndex,
  asked: LiveQuestion,
): LiveAnswer {
  if (asked.about === 'summary') return { version, enabled, plugins }
  if (asked.about === 'domains') return take(domain_list, asked.page)
  const { domain, ...page } = asked.page
  return take(domain === undefined ? plugin_list : plugin_list.filter((plugin) => plugin.domain === domain), page)
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
  readonly rollout?: { readonly percent?: number | null } | null
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
    .map(({ domain, plugin: { name, phase, enabled, mode, rollout } }, at): LivePlugin => {
      const percent = rollout?.percent ?? null
      return {
        id: at + 1,
        domain,
        name,
        phase,
        enabled: enabled !== false,
        mode: mode === 'shadow' ? mode : 'live',
        percent,
      }
    })
  const domain_list = domains.map(({ name, plugins }, at): LiveDomain => {
    const enabled = plugins.filter((plugin) => plugin.enabled !== false).length
    return { id: at + 1, name, plugins: plugins.length, enabled }
  })
  return {
    version,
    enabled: (general?.status ?? 'enabled') === 'enabled',
    plugins: plugin_list.length,
    domain_list,
    plugin_list,
  }
}
