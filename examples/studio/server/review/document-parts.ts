/** A document in two parts, so that its general can be written anew without reading the rest. */
export interface DocumentParts {
  readonly general: Readonly<Record<string, unknown>>
  /** As JSON. */
  readonly domains: string
}

/** A domain that is live, or a plugin of it; without either, everything. */
export interface LivePlace {
  readonly domain?: string | undefined
  readonly plugin?: string | undefined
}

type Fields = Readonly<Record<string, unknown>>
interface Document {
  readonly general?: Fields | null
  readonly domains: readonly { readonly name: string; readonly plugins: readonly (Fields | number | string)[] }[]
}

/** Puts the parts together, with what is new in general. */
export function putTogether({ general, domains }: DocumentParts, stamps: Fields): string {
  return `{"general":${JSON.stringify({ ...general, ...stamps })},"domains":${domains}}`
}

/**
 * Takes a document apart, and switches something of it on or off where that is wanted.
 *
 * @returns undefined when there is nothing of that name
 */
export function takeApart(text: string, changed?: LivePlace & { readonly on: boolean }): DocumentParts | undefined {
  const { general, domains } = JSON.parse(text) as Document
  const whole = general ?? {}
  if (changed === undefined) return { general: whole, domains: JSON.stringify(domains) }
  const { domain, plugin, on } = changed
  if (domain === undefined) {
    return { general: switchAll(whole, on), domains: JSON.stringify(domains) }
  }
  let found = 0
  const switched = domains.map((each) => {
    if (each.name !== domain) return each
    const plugins = each.plugins.map((entry) => {
      const own = typeof entry === 'object' ? entry : { id: entry }
      if (plugin !== undefined && own.name !== plugin) return entry
      found += 1
      return switchFields(own, on)
    })
    return { ...each, plugins }
  })
  return found === 0 ? undefined : { general: whole, domains: JSON.stringify(switched) }
}

/** On is what a document is that says nothing of it. */
export function switchAll(general: Fields, on: boolean): Fields {
  const { status: _, ...rest } = general
  return on ? rest : { ...rest, status: 'disabled' }
}

/** On is what a plugin is that says nothing of it. */
export function switchFields(fields: Fields, on: boolean): Fields {
  const { enabled: _, ...rest } = fields
  return on ? rest : { ...rest, enabled: false }
}
