import type { z } from 'zod'
import { type Document, type Domain, frameSchema, type RefusedDomain } from '../../document.ts'
import { DocumentError } from '../../errors.ts'
import type { HostPattern } from '../../matching/host-pattern.ts'
import { KNOWN_STRETCH, runSteps, type Steps } from '../../time/steps.ts'
import { describeMismatch } from '../../validation/schema-error.ts'
import { checkCaps, type DocumentCaps } from './document-caps.ts'
import { isNamed, type RawDomain, readDomain, readSkipped, type TakenNames } from './domain-reader.ts'
import { readJson } from './json-reader.ts'
import type { KnownDomain, KnownPlugin, Reference } from './live-text.ts'
import { findMisspelledInDomain, refuseMisspelledFrame } from './misspelled.ts'
import { readShared, referredIds, type Shared } from './plugin-reader.ts'
import type { PluginDefaults } from './plugin-specs.ts'

/** How large a document may be, and what holds where it says nothing. */
export interface DocumentRules extends PluginDefaults, DocumentCaps {}

/** What an app has unless it says otherwise. */
export const DEFAULT_RULES: DocumentRules = Object.freeze({
  guard: 'on',
  budget_ms: 50,
  timeout_ms: 5000,
  max_domains: 100_000,
  max_plugins: 100_000,
  max_code_bytes: 1024 * 1024,
})

/** A document of which some domains were not read again. */
export interface PartlyRead extends Omit<Document, 'domains'> {
  readonly domains: readonly (Domain | RefusedDomain | KnownDomain)[]
  /** Where the domains stand that are not the live ones; undefined: there may be any, anywhere. */
  readonly edited?: readonly number[]
}

/** A document whose JSON was read, but for what is known by its text. */
export interface RawDocument {
  /** What is in it, but for the items of its lists. */
  readonly frame: unknown
  readonly domains: readonly ({ readonly raw: unknown } | KnownDomain)[]
  readonly plugins: readonly ({ readonly raw: unknown } | KnownPlugin)[]
}

/** A document that was read, and what of it the next one can be compared with. */
export interface ReadDocument {
  readonly document: PartlyRead
  /** Of each domain that was read, what its text stands for beside what it becomes; undefined where that cannot be told. */
  readonly notes: readonly (Omit<KnownDomain, 'domain'> | undefined)[]
  /** Each of the shared plugins; undefined where it is at fault, or another one has its id. */
  readonly shared: readonly (KnownPlugin | undefined)[]
}

/**
 * Reads the text of an API document. Faults in a plugin or domain that can be told are part of what it returns.
 *
 * @param rules the caps, and the options that plugins can override
 * @throws DocumentError when the frame is at fault, so that nothing of the document can be used
 */
export function readDocument(text: string, rules: DocumentRules = DEFAULT_RULES): Document {
  return runSteps(readText(text, rules))
}

/** As `readDocument`; the text becomes JSON at once, and the rest in steps. */
export function* readText(text: string, rules: DocumentRules): Steps<Document> {
  const value = parseJson(text)
  const { domains, plugins } = (value ?? {}) as { domains?: unknown; plugins?: unknown }
  const wrap = (list: unknown) => (Array.isArray(list) ? list.map((raw: unknown) => ({ raw })) : [])
  const read = yield* readRaw({ frame: value, domains: wrap(domains), plugins: wrap(plugins) }, rules)
  if (read !== undefined) return read.document as Document
  const { error } = frameSchema.safeParse(value)
  const { path, message } = describeMismatch(error as z.ZodError, value)
  const [, at] = /^domains\[(\d+)\]\.name$/.exec(path) ?? []
  const misspelled =
    at === undefined ? undefined : findMisspelledInDomain((domains as object[])[Number(at)] as object, `domains[${at}]`)
  throw misspelled ?? new DocumentError(path, path === '' ? `the document: ${message}` : message)
}

/**
 * Reads a document whose JSON was read.
 *
 * @param open reads the JSON of a domain that is known, by its place: what is known of it is not true any more
 * @returns undefined when its frame is not as the schema has it, or when more of it has to be read to tell what is wrong
 * @throws DocumentError as `readDocument`
 */
export function* readRaw(
  { frame, domains, plugins }: RawDocument,
  rules: DocumentRules,
  open: (at: number) => Steps<unknown> = neverOpened,
): Steps<ReadDocument | undefined> {
  const general = readGeneral(frame)
  const namesakes = general && (yield* listNamesakes(domains))
  if (general === undefined || namesakes === undefined) return undefined
  const counts = yield* checkCaps(domains, plugins, rules)
  if (counts === undefined) return undefined
  const faults: DocumentError[] = []
  const skip = readSkipped(general.skip_domains ?? [], faults)
  const shared = yield* readShared(plugins, faults)
  const read: (Domain | RefusedDomain | KnownDomain)[] = []
  const notes: (Omit<KnownDomain, 'domain'> | undefined)[] = []
  for (const [index, part] of domains.entries()) {
    if ('domain' in part && !namesakes.has(part.domain.name) && isAsBefore(part, shared)) {
      read.push(part)
      notes.push(undefined)
      if (index % KNOWN_STRETCH === 0) yield
    } else {
      const raw = ('domain' in part ? yield* open(index) : part.raw) as RawDomain
      // What is wrong with a domain may depend on its namesakes: by itself its text says nothing.
      const namesake = namesakes.get(raw.name)
      read.push(yield* readDomain(raw, `domains[${index}]`, shared, namesake ?? new Map(), rules))
      const count = counts.domains[index] as number
      notes.push(namesake === undefined ? { count, refers: listReferences(raw.plugins, shared) } : undefined)
      yield
    }
  }
  for (const { fields, referenced } of shared.values()) {
    if (fields instanceof DocumentError && !referenced) faults.push(fields)
  }
  const document = createDocument(general, skip, read, faults)
  return { document, notes, shared: listSound(shared, plugins, counts.shared) }
}

/** What a document says of the whole, as its schema reads it. */
export interface General {
  readonly status?: unknown
  readonly version?: string | number | null | undefined
  readonly expires?: string | null | undefined
  readonly allow_removal?: boolean | null | undefined
  readonly skip_domains?: unknown[] | null | undefined
}

/** What the parts of a document come to. */
export function createDocument(
  general: General,
  skip: readonly HostPattern[],
  domains: PartlyRead['domains'],
  faults: readonly DocumentError[],
): PartlyRead {
  return Object.freeze({
    enabled: (general.status ?? 'enabled') === 'enabled',
    version: general.version ?? undefined,
    expires: general.expires == null ? undefined : Date.parse(general.expires),
    allow_removal: general.allow_removal ?? false,
    skip: Object.freeze(skip),
    domains: Object.freeze(domains),
    faults: Object.freeze(faults),
  })
}

/** The names that more than one domain has, each with what their plugins are called; undefined: one has no name. */
function* listNamesakes(domains: RawDocument['domains']): Steps<Map<string, TakenNames> | undefined> {
  const names = new Set<string>()
  const namesakes = new Map<string, TakenNames>()
  for (const part of domains) {
    if (!('raw' in part)) continue
    if (!isNamed(part.raw)) return undefined
    const { name } = part.raw
    if (names.has(name)) namesakes.set(name, new Map())
    names.add(name)
    yield
  }
  // Those that are known have no namesakes among themselves.
  if (names.size === 0) return namesakes
  for (const [at, part] of domains.entries()) {
    if ('domain' in part && names.has(part.domain.name)) namesakes.set(part.domain.name, new Map())
    if (at % KNOWN_STRETCH === 0) yield
  }
  return namesakes
}

/** Whether the shared plugins that a domain refers to are the very same as when it was read. */
function isAsBefore({ refers }: KnownDomain, shared: Shared): boolean {
  return refers.every(({ id, fields }) => shared.get(id)?.fields === fields)
}

/** One that is not in order makes a domain that is not, either. */
export function listReferences(plugins: unknown, shared: Shared): readonly Reference[] {
  const references = referredIds(plugins).flatMap((id) => {
    const fields = shared.get(id)?.fields
    return fields === undefined || fields instanceof DocumentError ? [] : [Object.freeze({ id, fields })]
  })
  return references.length === 0 ? NO_REFERENCES : Object.freeze(references)
}

const NO_REFERENCES: readonly Reference[] = Object.freeze([])

function listSound(shared: Shared, { length }: RawDocument['plugins'], counts: readonly number[]) {
  const sound: (KnownPlugin | undefined)[] = new Array(length).fill(undefined)
  for (const { index, raw, fields } of shared.values()) {
    if (!(fields instanceof DocumentError))
      sound[index] = Object.freeze({ raw, fields, count: counts[index] as number })
  }
  return sound
}

// biome-ignore lint/correctness/useYield: where nothing is known, nothing is opened
function* neverOpened(): Steps<unknown> {
  return undefined
}

/** What concerns the whole document; undefined when it, or what it stands in, is not as the schema has it. */
export function readGeneral(frame: unknown): General | undefined {
  const isFrame = typeof frame === 'object' && frame !== null && !Array.isArray(frame)
  if (isFrame) refuseMisspelledFrame(frame)
  // The domains are looked at one by one.
  const domains = isFrame && 'domains' in frame && Array.isArray(frame.domains) ? [] : undefined
  const read = frameSchema.safeParse(isFrame ? { ...frame, domains } : frame)
  return read.success ? (read.data.general ?? {}) : undefined
}

function parseJson(text: string): unknown {
  try {
    return readJson(text)
  } catch (cause) {
    throw new DocumentError('', `the document is not JSON: ${(cause as Error).message}`, { cause })
  }
}
