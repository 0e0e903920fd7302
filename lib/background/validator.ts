import { parse } from 'secure-json-parse'
import type { z } from 'zod'
import {
  type Document,
  type Domain,
  type FailurePolicy,
  frameSchema,
  type GuardMode,
  MAX_NAME_LENGTH,
  PHASES,
  type Phase,
  type PluginSpec,
  pluginSchema,
  type RefusedDomain,
  type RefusedPlugin,
  referenceSchema,
} from '../document.ts'
import { DocumentError } from '../errors.ts'
import { type HostPattern, readHostPattern } from '../host-pattern.ts'
import { describeMismatch, describeValue } from '../schema-error.ts'
import { freezeDeep, MAX_DEPTH } from './freeze.ts'

type PluginFields = z.infer<typeof pluginSchema>
type Id = string | number
/** The document's shared plugins by id; one at fault stands in for itself, so that its references can say why. */
type Shared = Map<Id, { fields: PluginFields | DocumentError; path: string; raw: unknown; referenced: boolean }>

/** What holds for a plugin where the document says nothing else. */
export interface PluginDefaults {
  readonly guard: GuardMode
  readonly budget_ms: number
  readonly timeout_ms: number
}

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

/**
 * Reads the text of an API document. Faults in a plugin or domain that can be told are part of what it returns.
 *
 * @param rules the caps, and the options that plugins can override
 * @throws DocumentError when the frame is at fault, so that nothing of the document can be used
 */
export function readDocument(text: string, rules: DocumentRules = DEFAULTS): Document {
  const value = parseJson(text)
  const frame = frameSchema.safeParse(value)
  if (!frame.success) {
    const { path, message } = describeMismatch(frame.error, value)
    throw new DocumentError(path, path === '' ? `the document: ${message}` : message)
  }
  const { general, domains, plugins } = frame.data
  checkCaps(domains, plugins ?? [], rules)
  const faults: DocumentError[] = []
  const skip = readSkipped(general?.skip_domains ?? [], faults)
  const shared = readShared(plugins ?? [], faults)
  const taken = new Map<string, string>()
  const read = domains.map((domain, index) => readDomain(domain, `domains[${index}]`, shared, taken, rules))
  for (const { fields, referenced } of shared.values()) {
    if (fields instanceof DocumentError && !referenced) faults.push(fields)
  }
  return Object.freeze({
    enabled: (general?.status ?? 'enabled') === 'enabled',
    version: general?.version ?? undefined,
    expires: general?.expires == null ? undefined : Date.parse(general.expires),
    allow_removal: general?.allow_removal ?? false,
    skip: Object.freeze(skip),
    domains: Object.freeze(read),
    faults: Object.freeze(faults),
  })
}

function checkCaps(domains: readonly { plugins?: unknown }[], shared: readonly unknown[], rules: DocumentRules): void {
  checkCap('domains', domains.length, 'max_domains', rules.max_domains)
  let plugins = shared.length
  const all = [shared, ...domains.map((domain) => domain.plugins)]
  for (const [index, list] of all.entries()) {
    if (!Array.isArray(list)) continue
    if (index > 0) plugins += list.length
    checkCap(index === 0 ? 'plugins' : `domains[${index - 1}].plugins`, plugins, 'max_plugins', rules.max_plugins)
    for (const [at, plugin] of list.entries()) {
      const code = field(plugin, 'code')
      if (typeof code !== 'string' || code.length * 3 <= rules.max_code_bytes) continue
      const path = `${index === 0 ? 'plugins' : `domains[${index - 1}].plugins`}[${at}].code`
      checkCap(path, Buffer.byteLength(code), 'max_code_bytes', rules.max_code_bytes)
    }
  }
}

function checkCap(path: string, count: number, name: string, cap: number): void {
  if (count > cap) throw new DocumentError(path, `expected at most ${cap} (${name}), got ${count}`)
}

function parseJson(text: string): unknown {
  try {
    // Keys that could change a prototype are dropped wherever they stand, as any unknown field is.
    return parse(text, { protoAction: 'remove', constructorAction: 'remove' })
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

function readShared(plugins: readonly unknown[], faults: DocumentError[]): Shared {
  const shared: Shared = new Map()
  for (const [index, raw] of plugins.entries()) {
    const path = `plugins[${index}]`
    const id = field(raw, 'id')
    if (!isId(id)) {
      if (nameOf(raw) === undefined) throw unnamed(path, raw)
      faults.push(
        new DocumentError(`${path}.id`, `expected a string or number to refer to it by, got ${describeValue(id)}`),
      )
    } else if (shared.has(id)) {
      faults.push(new DocumentError(`${path}.id`, `${describeValue(id)} is the id of ${shared.get(id)?.path} already`))
    } else {
      shared.set(id, { fields: readFields(raw, path), path, raw, referenced: false })
    }
  }
  return shared
}

function readDomain(
  { name, plugins }: { name: string; plugins?: unknown },
  path: string,
  shared: Shared,
  taken: Map<string, string>,
  defaults: PluginDefaults,
): Domain | RefusedDomain {
  const pattern = readPattern(name, `${path}.name`)
  if (pattern instanceof DocumentError) return Object.freeze({ name, error: pattern })
  if (!Array.isArray(plugins)) {
    const error = new DocumentError(`${path}.plugins`, `expected an array, got ${describeValue(plugins)}`)
    return Object.freeze({ name, error })
  }
  const read = plugins.map((raw, index) => {
    const plugin = readPlugin(raw, name, `${path}.plugins[${index}]`, shared, defaults)
    return 'error' in plugin ? plugin : refuseDuplicate(plugin, taken)
  })
  return Object.freeze({ name, pattern, plugins: Object.freeze(read) })
}

/** A plugin is known by its domain, name and phase; a second one of the same could not be told from the first. */
function refuseDuplicate(plugin: PluginSpec, taken: Map<string, string>): PluginSpec | RefusedPlugin {
  const key = JSON.stringify([plugin.domain, plugin.name, plugin.phase])
  const first = taken.get(key)
  if (first === undefined) {
    taken.set(key, plugin.path)
    return plugin
  }
  const message = `the domain has a plugin ${describeValue(plugin.name)} in the phase ${plugin.phase} already (${first})`
  return Object.freeze({ ...plugin, error: new DocumentError(`${plugin.path}.name`, message) })
}

function readPlugin(
  raw: unknown,
  domain: string,
  path: string,
  shared: Shared,
  defaults: PluginDefaults,
): PluginSpec | RefusedPlugin {
  const reference = isId(raw) ? { id: raw } : field(raw, 'code') == null && isId(field(raw, 'id')) ? raw : undefined
  const target = shared.get(field(reference, 'id') as Id)
  if (target !== undefined) target.referenced = true
  const fields = reference === undefined ? readFields(raw, path) : resolve(reference, path, target)
  if (fields instanceof DocumentError) return refuse(raw, domain, path, fields, target?.raw)
  const params = freezeDeep(fields.params ?? {})
  if (params === undefined) {
    return refuse(
      raw,
      domain,
      path,
      new DocumentError(`${path}.params`, `expected at most ${MAX_DEPTH} levels, got more`),
      target?.raw,
    )
  }
  return Object.freeze({
    domain,
    name: fields.name,
    id: fields.id ?? undefined,
    phase: fields.phase,
    code: fields.code,
    params,
    priority: fields.priority ?? 0,
    on_failure: fields.on_failure ?? 'open',
    guard: fields.guard ?? defaults.guard,
    budget_ms: fields.budget_ms ?? defaults.budget_ms,
    timeout_ms: fields.timeout_ms ?? defaults.timeout_ms,
    path,
  })
}

/** The shared plugin that a reference means, with what the reference says over it. */
function resolve(raw: unknown, path: string, target: { fields: PluginFields | DocumentError } | undefined) {
  const reference = referenceSchema.safeParse(raw)
  if (!reference.success) return mismatch(reference.error, raw, path)
  if (target === undefined) {
    return new DocumentError(
      path,
      `expected code, or the id of one of the document's plugins, got the id ${describeValue(reference.data.id)}`,
    )
  }
  if (target.fields instanceof DocumentError) return target.fields
  const said = Object.fromEntries(Object.entries(reference.data).filter(([, value]) => value != null))
  return { ...target.fields, ...said, params: { ...target.fields.params, ...reference.data.params } }
}

function readFields(raw: unknown, path: string): PluginFields | DocumentError {
  const fields = pluginSchema.safeParse(raw)
  return fields.success ? fields.data : mismatch(fields.error, raw, path)
}

function mismatch(error: z.ZodError, raw: unknown, path: string): DocumentError {
  const { path: inner, message } = describeMismatch(error, raw)
  return new DocumentError(inner === '' ? path : `${path}.${inner}`, message)
}

/** What is left of a plugin that cannot be used: enough to keep its last good version, or to guard its domain. */
function refuse(raw: unknown, domain: string, path: string, error: DocumentError, shared?: unknown): RefusedPlugin {
  const id = isId(raw) ? raw : field(raw, 'id')
  const name = nameOf(raw) ?? nameOf(shared)
  if (name === undefined && !isId(id)) throw unnamed(path, raw)
  const phase = field(raw, 'phase') ?? field(shared, 'phase')
  const policy = field(raw, 'on_failure') ?? field(shared, 'on_failure') ?? 'open'
  return Object.freeze({
    domain,
    name,
    id: isId(id) ? id : undefined,
    phase: PHASES.includes(phase as Phase) ? (phase as Phase) : undefined,
    // Whoever writes anything but `open` wants the plugin for its protection, misspelt or not.
    on_failure: policy === 'open' ? 'open' : ('closed' satisfies FailurePolicy),
    error,
  })
}

/** Nobody could tell which plugin this is: a fault of the whole document. */
function unnamed(path: string, raw: unknown): DocumentError {
  if (typeof raw !== 'object' || raw === null || Array.isArray(raw)) {
    return new DocumentError(path, `expected a plugin, or the id of one, got ${describeValue(raw)}`)
  }
  const came = describeValue(field(raw, 'name'))
  return new DocumentError(`${path}.name`, `expected a string of 1 to ${MAX_NAME_LENGTH} characters, got ${came}`)
}

function field(raw: unknown, key: string): unknown {
  return typeof raw === 'object' && raw !== null && Object.hasOwn(raw, key)
    ? (raw as Record<string, unknown>)[key]
    : undefined
}

function nameOf(raw: unknown): string | undefined {
  const name = field(raw, 'name')
  return typeof name === 'string' && name !== '' && name.length <= MAX_NAME_LENGTH ? name : undefined
}

function isId(value: unknown): value is Id {
  return typeof value === 'number' || (typeof value === 'string' && value !== '' && value.length <= MAX_NAME_LENGTH)
}
