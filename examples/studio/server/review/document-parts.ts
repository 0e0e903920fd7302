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

/** The share of a plugin's rollout. */
export interface GivenShare {
  readonly domain: string
  readonly name: string
  readonly phase: string
  readonly percent: number
  /** When it stops: what an earlier step had to leave out comes back. */
  readonly stop_when: Fields
}

/**
 * Takes a document apart, and gives the rollout of a plugin another share, in place of steps by the clock too. Of everybody,
 * there are no others to compare with: what is above them is left out.
 *
 * @returns undefined when there is no rollout of that name with one share
 */
export function giveShare(
  text: string,
  { domain, name, phase, percent, stop_when }: GivenShare,
): DocumentParts | undefined {
  const { general, domains } = JSON.parse(text) as Document
  const guard = percent < 100 ? stop_when : withoutControl(stop_when)
  let found = 0
  const changed = domains.map((each) => {
    if (each.name !== domain) return each
    const isIt = (entry: Fields) => entry.name === name && entry.phase === phase
    const unit = each.plugins.find((entry): entry is Fields => typeof entry === 'object' && isIt(entry))?.unit
    const plugins = each.plugins.map((entry) => {
      if (typeof entry !== 'object') return entry
      const { rollout, variants } = entry
      if (typeof rollout !== 'object' || rollout === null || variants != null) return entry
      // A unit has one rollout: whoever repeats it has to say the same.
      if (!isIt(entry) && (unit == null || entry.unit !== unit)) return entry
      if (isIt(entry)) found += 1
      const { steps: _, stop_when: __, ...rest } = rollout as Fields
      return { ...entry, rollout: { ...rest, percent, ...(guard === undefined ? {} : { stop_when: guard }) } }
    })
    return { ...each, plugins }
  })
  return found === 0 ? undefined : { general: general ?? {}, domains: JSON.stringify(changed) }
}

/** A variant of a plugin. */
export interface GivenVariant {
  readonly domain: string
  readonly name: string
  readonly phase: string
  readonly variant: string
}

/**
 * Takes a document apart, and a variant of a plugin its code: its clients get none, and those of the other variants keep theirs,
 * since all percentages stay.
 *
 * @returns undefined when there is no variant of that name, or it has no code any more
 */
export function stopVariant(text: string, { domain, name, phase, variant }: GivenVariant): DocumentParts | undefined {
  const { general, domains } = JSON.parse(text) as Document
  let found = 0
  const stop = (each: Fields) => {
    if (each.name !== variant || each.code === '') return each
    found += 1
    return { ...each, code: '' }
  }
  const changed = domains.map((each) => {
    if (each.name !== domain) return each
    const plugins = each.plugins.map((entry) => {
      if (typeof entry !== 'object' || entry.name !== name || entry.phase !== phase) return entry
      return Array.isArray(entry.variants) ? { ...entry, variants: (entry.variants as Fields[]).map(stop) } : entry
    })
    return { ...each, plugins }
  })
  return found === 0 ? undefined : { general: general ?? {}, domains: JSON.stringify(changed) }
}

function withoutControl(stop_when: Fields): Fields | undefined {
  const kept = Object.entries(stop_when).filter(([, value]) => typeof value !== 'object')
  return kept.some(([name]) => name !== 'min_runs' && name !== 'window') ? Object.fromEntries(kept) : undefined
}
