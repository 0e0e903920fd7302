import type { z } from 'zod'
import {
  type Document,
  type Domain,
  frameSchema,
  MAX_NAME_LENGTH,
  type PluginSpec,
  type RefusedDomain,
  type RefusedPlugin,
} from '../document.ts'
import { DocumentError } from '../errors.ts'
import { type HostPattern, readHostPattern } from '../host-pattern.ts'
import type { ProgramDomain } from '../program.ts'
import { describeMismatch, describeValue } from '../schema-error.ts'
import { runSteps, type Steps } from '../steps.ts'
import { readJson } from './json-reader.ts'
import { type PluginDefaults, readPlugins, readShared, type Shared } from './plugin-reader.ts'

/** How large a document may be, and what holds where it says nothing. */
export interface DocumentRules extends PluginDefaults {
  readonly max_domains: number
  readonly max_plugins: number
  /** Of one plugin, in bytes of UTF-8. */
  readonly max_code_bytes: number
}
const DEFAULTS: DocumentRules = Object.freeze({
  guard: 'on',
  budget_ms: 50,
  timeout_ms: 5000,
  max_domains: 100_000,
  max_plugins: 100_000,
  max_code_bytes: 1024 * 1024,
})

/** A domain that stands in the document as it did before; what it became then goes on. */
export interface KeptDomain {
  readonly name: string
  readonly kept: ProgramDomain
}

/** A document of which some domains were not read again. */
export interface PartlyRead extends Omit<Document, 'domains'> {
  readonly domains: readonly (Domain | RefusedDomain | KeptDomain)[]
}

/** Some of the document's domains: one that is to be read, or a number of those that need not be. */
export type Part = { readonly raw: unknown } | KeptPart

/** Domains that stand there as they did before, one after the other. */
export interface KeptPart {
  readonly domains: readonly KeptDomain[]
  /** How many plugins they have, as caps count them. */
  readonly plugins: number
}

/** A document whose JSON was read. */
export interface RawDocument {
  /** What is in it, but for the items of its lists. */
  readonly frame: unknown
  readonly domains: readonly Part[]
  /** The shared plugins, or what they are where that is known. */
  readonly plugins: readonly unknown[] | KnownShared
}

/** Shared plugins that stand in the document as they did before. */
export interface KnownShared {
  readonly shared: Shared
  /** How many there are, as caps count them. */
  readonly plugins: number
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
  const shared = Array.isArray(plugins) ? plugins : []
  const document = yield* readRaw({ frame: value, domains: parts, plugins: shared }, rules)
  if (document !== undefined) return document.document as Document
  const { error } = frameSchema.safeParse(value)
  const { path, message } = describeMismatch(error as z.ZodError, value)
  throw new DocumentError(path, path === '' ? `the document: ${message}` : message)
}

/**
 * Reads a document whose JSON was read.
 *
 * @param expand reads domains after all that need not be read for their own sake
 * @returns the document, with the shared plugins by id, and whether all of them have one; undefined when its frame is not as the schema has it
 * @throws DocumentError as `readDocument`
 */
export function* readRaw(
  { frame, domains, plugins }: RawDocument,
  rules: DocumentRules,
  expand: (part: KeptPart) => Steps<readonly { readonly raw: unknown }[]> = expandNothing,
): Steps<{ document: PartlyRead; shared: Shared; isSharedSound: boolean } | undefined> {
  const general = readGeneral(frame)
  if (general === undefined) return undefined
  for (const part of domains) {
    if ('raw' in part && !isNamed(part.raw)) return undefined
    yield
  }
  if (!(yield* checkCaps(domains, plugins, rules))) return undefined
  const faults: DocumentError[] = []
  const skip = readSkipped(general.skip_domains ?? [], faults)
  const skipFaults = faults.length
  const shared = 'shared' in plugins ? plugins.shared : yield* readShared(plugins, faults)
  const isSharedSound = faults.length === skipFaults
  // What is known was asked for by the domains of another document.
  if ('shared' in plugins) for (const entry of shared.values()) entry.referenced = false
  const read: (Domain | RefusedDomain | KeptDomain)[] = []
  const taken = createTaken(read)
  for (const part of domains) {
    const isKept = !('raw' in part) && part.domains.every(({ name }) => !taken.has(name))
    if (isKept) {
      for (const domain of part.domains) taken.add(read.push(domain) - 1)
      yield
      continue
    }
    // What was kept had a name of its own. Should it not have any more, what is wrong with it depends on its neighbours.
    for (const { raw } of 'raw' in part ? [part] : yield* expand(part)) {
      const index = read.length
      read.push(yield* readDomain(raw as RawDomain, `domains[${index}]`, shared, taken, rules))
      taken.add(index)
      yield
    }
  }
  for (const { fields, referenced } of shared.values()) {
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
  return { document, shared, isSharedSound }
}

interface RawDomain {
  readonly name: string
  readonly plugins?: unknown
}

// biome-ignore lint/correctness/useYield: it takes no time
function* expandNothing(): Steps<readonly { readonly raw: unknown }[]> {
  return []
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

/** False: a cap is passed by what was not read, so that where it is passed cannot be told. */
function* checkCaps(domains: readonly Part[], shared: RawDocument['plugins'], rules: DocumentRules): Steps<boolean> {
  const count = domains.reduce((sum, part) => sum + ('raw' in part ? 1 : part.domains.length), 0)
  checkCap('domains', count, 'max_domains', rules.max_domains)
  let plugins = 'shared' in shared ? shared.plugins : yield* countPlugins(shared, 'plugins', 0, rules)
  let index = 0
  for (const part of domains) {
    if ('raw' in part) {
      plugins = yield* countPlugins((part.raw as RawDomain).plugins, `domains[${index}].plugins`, plugins, rules)
      index += 1
    } else {
      plugins += part.plugins
      index += part.domains.length
      if (plugins > rules.max_plugins) return false
    }
  }
  return true
}

/** How many plugins there are with those of a list, as caps count them. */
export function* countPlugins(list: unknown, path: string, before: number, rules: DocumentRules): Steps<number> {
  if (!Array.isArray(list)) return before
  let plugins = before + list.length
  checkCap(path, plugins, 'max_plugins', rules.max_plugins)
  for (const [at, plugin] of list.entries()) {
    const { code, variants } = (plugin ?? {}) as { code?: unknown; variants?: unknown }
    checkCode(code, `${path}[${at}].code`, rules)
    yield
    if (!Array.isArray(variants)) continue
    // Each of them is compiled, and runs, as a plugin of its own.
    plugins += Math.max(variants.length - 1, 0)
    checkCap(`${path}[${at}].variants`, plugins, 'max_plugins', rules.max_plugins)
    for (const [nth, variant] of variants.entries())
      checkCode(variant?.code, `${path}[${at}].variants[${nth}].code`, rules)
  }
  return plugins
}

function checkCode(code: unknown, path: string, { max_code_bytes }: DocumentRules): void {
  // No character takes more than three bytes.
  if (typeof code !== 'string' || code.length * 3 <= max_code_bytes) return
  checkCap(path, Buffer.byteLength(code), 'max_code_bytes', max_code_bytes)
}

function checkCap(path: string, count: number, name: string, cap: number): void {
  if (count > cap) throw new DocumentError(path, `expected at most ${cap} (${name}), got ${count}`)
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
  taken: Taken,
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

/** The names of the plugins that were read so far. */
interface Taken {
  /** Whether there was a domain of this name. */
  has(domain: string): boolean
  /** Takes account of a domain that was read, by its index. */
  add(index: number): void
  /** A plugin is known by its domain, name and phase; a second one of the same could not be told from the first. */
  createCheck(domain: string): (plugin: PluginSpec) => PluginSpec | RefusedPlugin
}

/** Few domains have a namesake: what their plugins are called is gathered once they do. */
function createTaken(read: readonly (Domain | RefusedDomain | KeptDomain)[]): Taken {
  const domains = new Map<string, number>()
  const gathered = new Map<string, Map<string, string>>()

  /** What the plugins of the domains of this name are called, if there was one. */
  function gather(name: string): Map<string, string> {
    const known = gathered.get(name) ?? new Map<string, string>()
    const first = domains.get(name)
    if (first === undefined || gathered.has(name)) return known
    gathered.set(name, known)
    return note(known, first)
  }

  function note(known: Map<string, string>, index: number): Map<string, string> {
    const domain = read[index] as Domain | KeptDomain
    const plugins = 'kept' in domain ? domain.kept.plugins.map(({ spec }) => spec) : domain.plugins
    for (const plugin of plugins) {
      if ('error' in plugin || known.has(keyOf(plugin))) continue
      // What was kept may have stood elsewhere before.
      known.set(keyOf(plugin), plugin.path.replace(/^domains\[\d+\]/, `domains[${index}]`))
    }
    return known
  }

  return {
    has: (domain) => domains.has(domain),
    add(index) {
      const domain = read[index]
      if (domain === undefined || 'error' in domain) return
      if (domains.has(domain.name)) note(gather(domain.name), index)
      else domains.set(domain.name, index)
    },
    createCheck(domain) {
      const known = gather(domain)
      return (plugin) => {
        const key = keyOf(plugin)
        const first = known.get(key)
        if (first === undefined) {
          known.set(key, plugin.path)
          return plugin
        }
        const message = `the domain has a plugin ${describeValue(plugin.name)} in the phase ${plugin.phase} already (${first})`
        return Object.freeze({ ...plugin, error: new DocumentError(`${plugin.path}.name`, message) })
      }
    },
  }
}

const keyOf = ({ name, phase }: PluginSpec) => `${phase} ${name}`
