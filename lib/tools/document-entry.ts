import type { PluginSpec } from '../document.ts'

type Fields = Readonly<Record<string, unknown>>

/** What a document says of a plugin: at its own place, and at that of the shared plugin it refers to. */
export interface DocumentEntry {
  readonly own: Fields
  readonly shared: Fields
}

/** Finds what a document, or the manifest of a folder, says of a plugin. */
export type EntryFinder = (plugin: Pick<PluginSpec, 'path' | 'id'>) => DocumentEntry

/** Makes the finder for a document that was parsed. */
export function createEntryFinder(document: unknown): EntryFinder {
  const shared = new Map<unknown, Fields>()
  for (const plugin of toList(toFields(document).plugins)) {
    const fields = toFields(plugin)
    if (!shared.has(fields.id)) shared.set(fields.id, fields)
  }
  const domains = toList(toFields(document).domains)
  return ({ path }) => {
    const [, domain, plugin] = /^domains\[(\d+)\]\.plugins\[(\d+)\]/.exec(path) ?? []
    const entry = toList(toFields(domains[Number(domain)]).plugins)[Number(plugin)]
    const own = toFields(entry)
    const is_whole = own.code != null || own.file != null || own.variants != null
    return { own, shared: is_whole ? {} : (shared.get(typeof entry === 'object' ? own.id : entry) ?? {}) }
  }
}

/** The file that has a plugin's code, if the manifest names one. */
export function fileOf({ own, shared }: DocumentEntry, name: string): string | null {
  const owner = own.file != null || own.variants != null ? own : shared
  if (typeof owner.file === 'string') return owner.file
  const variant = toList(owner.variants).find((each) => name.endsWith(`/${String(toFields(each).name)}`))
  const file = toFields(variant).file
  return typeof file === 'string' ? file : null
}

function toFields(value: unknown): Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : {}
}

function toList(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}
