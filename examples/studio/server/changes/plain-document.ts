import type { Fields, PluginKey } from '../../shared/changes.ts'

/** A document as the studio makes it: every plugin stands in its domain, whole. */
export interface PlainDocument {
  /** Without what every version has of its own. */
  readonly general: Fields
  readonly domains: readonly PlainDomain[]
}
export interface PlainDomain {
  readonly name: string
  readonly plugins: readonly PlainPlugin[]
}
export interface PlainPlugin {
  readonly name: string
  readonly phase: string
  readonly fields: Fields
}

interface Written {
  readonly general?: Fields | null
  readonly domains: readonly { readonly name: string; readonly plugins?: readonly Fields[] | null }[]
}

export function readPlain(text: string): PlainDocument {
  const { general, domains } = JSON.parse(text) as Written
  const { version: _version, expires: _expires, ...rest } = general ?? {}
  return {
    general: rest,
    domains: domains.map(({ name: domain, plugins }) => ({
      name: domain,
      plugins: (plugins ?? []).map(({ name, phase, ...fields }) => ({
        name: String(name),
        phase: String(phase),
        fields,
      })),
    })),
  }
}

/** The domains as a document has them. */
export function writeDomains(domains: PlainDocument['domains']): string {
  const written = domains.map(({ name: domain, plugins }) => ({
    name: domain,
    plugins: plugins.map(({ name, phase, fields }) => ({ name, phase, ...fields })),
  }))
  return JSON.stringify(written)
}

/** Of a plugin within its domain. */
export function keyOf({ name, phase }: Pick<PluginKey, 'name' | 'phase'>): string {
  return JSON.stringify([name, phase])
}

/** Whether two values are the same JSON, in whichever order their members are. */
export function isSame(one: unknown, other: unknown): boolean {
  return one === other || JSON.stringify(one) === JSON.stringify(other) || canonical(one) === canonical(other)
}

export function canonical(value: unknown): string {
  return JSON.stringify(value ?? null, (_, part) =>
    typeof part === 'object' && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  )
}
