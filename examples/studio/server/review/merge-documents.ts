import type { DraftImport, Imported } from '../store/read-import.ts'

interface Document {
  readonly general?: Readonly<Record<string, unknown>>
  readonly domains: readonly { readonly name: string; readonly plugins: readonly Imported['fields'][] }[]
}

/**
 * Brings what is new in `theirs` into `ours`: a plugin that was changed in ours since `base` stays as it is there, every other
 * one becomes as it is in theirs.
 */
export function mergeDocuments(base: string, ours: string, theirs: string): DraftImport {
  const [before, own, other] = [base, ours, theirs].map((text) => readDocument(JSON.parse(text))) as [Read, Read, Read]
  const domains = new Map<string, Imported[]>()
  const place = (domain: string) => domains.get(domain) ?? (domains.set(domain, []).get(domain) as Imported[])
  for (const domain of other.domains) if (own.domains.has(domain) || !before.domains.has(domain)) place(domain)
  for (const [key, { domain, plugin, text }] of other.plugins) {
    const [mine, was] = [own.plugins.get(key), before.plugins.get(key)]
    if (mine !== undefined && mine.text !== was?.text) place(domain).push(mine.plugin)
    // Removed in ours, and nothing new of it in theirs.
    else if (mine !== undefined || text !== was?.text) place(domain).push(plugin)
  }
  for (const domain of own.domains) if (!before.domains.has(domain)) place(domain)
  for (const [key, { domain, plugin, text }] of own.plugins) {
    if (!other.plugins.has(key) && text !== before.plugins.get(key)?.text) place(domain).push(plugin)
  }
  const general = JSON.stringify(own.general) === JSON.stringify(before.general) ? other.general : own.general
  return { general, domains: [...domains].map(([name, plugins]) => ({ name, plugins })) }
}

type Read = ReturnType<typeof readDocument>

function readDocument({ general = {}, domains }: Document) {
  const { version: _version, expires: _expires, ...rest } = general
  const plugins = new Map<string, { domain: string; plugin: Imported; text: string }>()
  for (const { name: domain, plugins: list } of domains) {
    for (const { name, phase, ...fields } of list) {
      const plugin = { name: String(name), phase: String(phase), fields }
      plugins.set(JSON.stringify([domain, name, phase]), { domain, plugin, text: JSON.stringify(fields) })
    }
  }
  return { general: rest, domains: new Set(domains.map(({ name }) => name)), plugins }
}
