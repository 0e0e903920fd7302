import type { z } from 'zod'
import {
  type Document,
  type Domain,
  frameSchema,
  MAX_NAME_LENGTH,
  type PluginSpec,
  type RefusedDomain,
  type RefusedPlugin,
} from '../../document.ts'
import { DocumentError } from '../../errors.ts'
import { type HostPattern, readHostPattern } from '../../matching/host-pattern.ts'
import type { LivePlugin, ProgramDomain } from '../../program.ts'
import { runSteps, type Steps } from '../../time/steps.ts'
import { describeMismatch, describeValue } from '../../validation/schema-error.ts'
import { checkCaps, type DocumentCaps } from './document-caps.ts'
import { readJson } from './json-reader.ts'
import { type Id, type PluginDefaults, readPlugins, readShared, type Shared, type SharedPart } from './plugin-reader.ts'
import { createTakenNames, type TakenNames } from './taken-names.ts'

/** How large a document may be, and what holds where it says nothing. */
export interface DocumentRules extends PluginDefaults, DocumentCaps {}

const DEFAULTS: DocumentRules = Object.freeze({
  guard: 'on',
  budget_ms: 50,
  timeout_ms: 5000,
  max_domains: 100_000,
  max_plugins: 100_000,
  max_code_bytes: 1024 * 1024,
})

/** A document of which some domains were not read again. */
export interface PartlyRead extends Omit<Document, 'domains'> {
  readonly domains: readonly (Domain | RefusedDomain | KeptPart)[]
}

/** Some of the document's domains: one that is to be read, or a number of those that need not be. */
export type Part = { readonly raw: unknown } | KeptPart

/** Domains that stand there as they did before, one after the other; what they became then goes on. */
export interface KeptPart {
  readonly domains: readonly ProgramDomain[]
  /** Their plugins. */
  readonly live: readonly LivePlugin[]
  /** How many plugins they have, as caps count them. */
  readonly plugins: number
  /** The shared plugins that each of them refers to, by id; undefined where none refers to any. */
  readonly refers: readonly (readonly Id[])[] | undefined
}

/** A document whose JSON was read. */
export interface RawDocument {
  /** What is in it, but for the items of its lists. */
  readonly frame: unknown
  readonly domains: readonly Part[]
  readonly plugins: readonly SharedPart[]
}

/** A document that was read, and what of it the next one can be compared with. */
export interface ReadDocument {
  readonly document: PartlyRead
  readonly shared: Shared
  /** The names that more than one domain has. */
  readonly namesakes: ReadonlySet<string>
}

/** What was read before, and is taken for the same. */
export interface Before {
  /** The shared plugins that the domains which are kept were read with. */
  readonly shared: Shared
  /** Whether the document has just these shared plugins. */
  readonly isSame: boolean
  /** Domains that could have been kept, and are not there any more: no name of theirs is that of one that is kept. */
  readonly gone: readonly KeptPart[]
  /**
   * Takes domains apart that are kept, where some of them need to be read again: for a shared plugin that changed.
   *
   * @param isKept whether one of them can stay, by its place among them
   */
  open(part: KeptPart, isKept: (place: number) => boolean): Steps<readonly Part[]>
}

/**
 * Reads the text of an API document. Faults in a plugin or domain that can be told are part of what it returns.
 *
 * @param rules the caps, and the options that plugins can override
 * @throws DocumentError when the frame is at fault, so that nothing of the document can be used
 */
export function readDocument(text: string, rules: DocumentRules = DEFAULTS): Document {
  return runSteps(readText(text, rules))
}

/** As `readDocument`; the text becomes JSON at once, and the rest in steps. */
export function* readText(text: string, rules: DocumentRules): Steps<Document> {
  const value = parseJson(text)
  const { domains, plugins } = (value ?? {}) as { domains?: unknown; plugins?: unknown }
  const parts: Part[] = []
  for (const raw of Array.isArray(domains) ? domains : []) {
    parts.push({ raw })
    yield
  }
  const shared = (Array.isArray(plugins) ? plugins : []).map((raw) => ({ raw }))
  const read = yield* readRaw({ frame: value, domains: parts, plugins: shared }, rules)
  if (read !== undefined) return read.document as Document
  const { error } = frameSchema.safeParse(value)
  const { path, message } = describeMismatch(error as z.ZodError, value)
  throw new DocumentError(path, path === '' ? `the document: ${message}` : message)
}

/**
 * Reads a document whose JSON was read.
 *
 * @returns undefined when its frame is not as the schema has it, or when more of it has to be read to tell what it means
 * @throws DocumentError as `readDocument`
 */
export function* readRaw(
  { frame, domains, plugins }: RawDocument,
  rules: DocumentRules,
  before: Before = NOTHING_BEFORE,
): Steps<ReadDocument | undefined> {
  const general = readGeneral(frame)
  if (general === undefined) return undefined
  const added = new Set<string>()
  const namesakes = new Set<string>()
  for (const part of domains) {
    if (!('raw' in part)) continue
    if (!isNamed(part.raw)) return undefined
    const { name } = part.raw
    if (added.has(name)) namesakes.add(name)
    added.add(name)
    yield
  }
  if (!(yield* checkCaps(domains, plugins, rules))) return undefined
  // Nearly always none is left then, and nothing has to be looked for among the many that are kept.
  for (const { domains } of before.gone) for (const { name } of domains) added.delete(name)
  const faults: DocumentError[] = []
  const skip = readSkipped(general.skip_domains ?? [], faults)
  const shared = before.isSame ? before.shared : yield* readShared(plugins, before.shared, faults)
  const changed = yield* listChanged(before.shared, shared)
  const read: (Domain | RefusedDomain | KeptPart)[] = []
  const taken = createTakenNames()
  const kept = new Set<ProgramDomain>()
  let index = 0

  function* readOne(raw: unknown): Steps<void> {
    const domain = yield* readDomain(raw as RawDomain, `domains[${index}]`, shared, taken, rules)
    if (!('error' in domain)) taken.add(domain, index)
    read.push(domain)
    index += 1
  }

  /** False: what these mean depends on what stands before them, or on which of them it is. */
  function keep(part: KeptPart): boolean {
    const [first] = part.domains
    if (first === undefined || kept.has(first)) return false
    kept.add(first)
    for (const [place, domain] of added.size === 0 ? [] : part.domains.entries()) {
      if (!added.has(domain.name)) continue
      if (taken.has(domain.name)) return false
      namesakes.add(domain.name)
      taken.add(domain, index + place)
    }
    read.push(part)
    index += part.domains.length
    return true
  }

  for (const part of domains) {
    if ('raw' in part) yield* readOne(part.raw)
    else if (!refersTo(part, changed)) {
      if (!keep(part)) return undefined
    } else {
      if (part.domains.some(({ name }) => added.has(name))) return undefined
      const isKept = (place: number) => part.refers?.[place]?.some((id) => changed.has(id)) !== true
      for (const opened of yield* before.open(part, isKept)) {
        if ('raw' in opened) yield* readOne(opened.raw)
        else if (!keep(opened)) return undefined
        yield
      }
    }
    yield
  }
  for (const { fields, referenced } of before.isSame ? [] : shared.values()) {
    if (fields instanceof DocumentError && !referenced) faults.push(fields)
  }
  const document = Object.freeze({
    enabled: (general.status ?? 'enabled') === 'enabled',
    version: general.version ?? undefined,
    expires: general.expires == null ? undefined : Date.parse(general.expires),
    allow_removal: general.allow_removal ?? false,
    skip: Object.freeze(skip),
    domains: Object.freeze(read),
    faults: Object.freeze(faults),
  })
  return { document, shared, namesakes }
}

/** The ids of shared plugins that are not what they were. */
function* listChanged(before: Shared, after: Shared): Steps<ReadonlySet<Id>> {
  const changed = new Set<Id>()
  if (before === after) return changed
  for (const [id, { fields }] of before) {
    if (after.get(id)?.fields !== fields) changed.add(id)
    yield
  }
  return changed
}

function refersTo({ refers }: KeptPart, ids: ReadonlySet<Id>): boolean {
  return ids.size > 0 && refers?.some((each) => each.some((id) => ids.has(id))) === true
}

const NOTHING_BEFORE: Before = Object.freeze({
  shared: new Map(),
  isSame: false,
  gone: Object.freeze([]),
  // biome-ignore lint/correctness/useYield: there is nothing to be opened
  *open() {
    return []
  },
})

interface RawDomain {
  readonly name: string
  readonly plugins?: unknown
}

/** What concerns the whole document; undefined when it, or what it stands in, is not as the schema has it. */
function readGeneral(frame: unknown): (z.infer<typeof frameSchema>['general'] & object) | undefined {
  const isFrame = typeof frame === 'object' && frame !== null && !Array.isArray(frame)
  // The domains are looked at one by one.
  const domains = isFrame && 'domains' in frame && Array.isArray(frame.domains) ? [] : undefined
  const read = frameSchema.safeParse(isFrame ? { ...frame, domains } : frame)
  return read.success ? (read.data.general ?? {}) : undefined
}

/** As the schema of the frame has it. */
function isNamed(raw: unknown): raw is RawDomain {
  if (typeof raw !== 'object' || raw === null || Array.isArray(raw)) return false
  const { name } = raw as { name?: unknown }
  return typeof name === 'string' && name !== ''
}

function parseJson(text: string): unknown {
  try {
    return readJson(text)
  } catch (cause) {
    throw new DocumentError('', `the document is not JSON: ${(cause as Error).message}`, { cause })
  }
}

function readSkipped(entries: readonly unknown[], faults: DocumentError[]): HostPattern[] {
  return entries.flatMap((entry, index) => {
    const pattern = readPattern(entry, `general.skip_domains[${index}]`)
    if (!(pattern instanceof DocumentError)) return [pattern]
    faults.push(pattern)
    return []
  })
}

function readPattern(name: unknown, path: string): HostPattern | DocumentError {
  if (typeof name !== 'string' || name === '' || name.length > MAX_NAME_LENGTH) {
    return new DocumentError(
      path,
      `expected a string of 1 to ${MAX_NAME_LENGTH} characters, got ${describeValue(name)}`,
    )
  }
  try {
    return readHostPattern(name)
  } catch (cause) {
    return new DocumentError(path, `${describeValue(name)} is no regular expression: ${(cause as Error).message}`, {
      cause,
    })
  }
}

function* readDomain(
  { name, plugins }: RawDomain,
  path: string,
  shared: Shared,
  taken: TakenNames,
  defaults: PluginDefaults,
): Steps<Domain | RefusedDomain> {
  const pattern = readPattern(name, `${path}.name`)
  if (pattern instanceof DocumentError) return Object.freeze({ name, error: pattern })
  if (!Array.isArray(plugins)) {
    const error = new DocumentError(`${path}.plugins`, `expected an array, got ${describeValue(plugins)}`)
    return Object.freeze({ name, error })
  }
  const refuseDuplicate = taken.createCheck(name)
  const read: (PluginSpec | RefusedPlugin)[] = []
  for (const [index, raw] of plugins.entries()) {
    for (const plugin of readPlugins(raw, name, `${path}.plugins[${index}]`, shared, defaults)) {
      read.push('error' in plugin ? plugin : refuseDuplicate(plugin))
    }
    yield
  }
  return Object.freeze({ name, pattern, plugins: Object.freeze(read) })
}
