import type { MadePlugin } from './recipes.ts'

type Fields = Readonly<Record<string, unknown>>
interface Document {
  readonly domains: readonly { readonly name: string; readonly plugins: readonly (Fields | number | string)[] }[]
}

/** A plugin, and the domain that it is for. */
export interface PlacedPlugin extends MadePlugin {
  readonly domain: string
}

/** @returns undefined where nothing of that name and phase is live */
export function findPlaced(
  text: string,
  { domain, name, phase }: Omit<PlacedPlugin, 'fields'>,
): MadePlugin | undefined {
  const { domains } = JSON.parse(text) as Document
  for (const each of domains) {
    if (each.name !== domain) continue
    for (const entry of each.plugins) {
      if (typeof entry !== 'object' || entry.name !== name || entry.phase !== phase) continue
      const { name: _, phase: __, ...fields } = entry
      return { name, phase, fields }
    }
  }
  return undefined
}
