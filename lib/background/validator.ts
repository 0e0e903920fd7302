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
import { describeMismatch, describeValue } from '../schema-error.ts'
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
  let plugins = 0
  const all = [shared, ...domains.map((domain) => domain.plugins)]
  for (const [index, list] of all.entries()) {
    if (!Array.isArray(list)) continue
    const path = index === 0 ? 'plugins' : `domains[${index - 1}].plugins`
    plugins += list.length
    checkCap(path, plugins, 'max_plugins', rules.max_plugins)
    for (const [at, plugin] of list.entries()) {
      const { code, variants } = (plugin ?? {}) as { code?: unknown; variants?: unknown }
      checkCode(code, `${path}[${at}].code`, rules)
      if (!Array.isArray(variants)) continue
      // Each of them is compiled, and runs, as a plugin of its own.
      plugins += Math.max(variants.length - 1, 0)
      checkCap(`${path}[${at}].variants`, plugins, 'max_plugins', rules.max_plugins)
      for (const [nth, variant] of variants.entries())
        checkCode(variant?.code, `${path}[${at}].variants[${nth}].code`, rules)
    }
  }
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
  const read = plugins.flatMap((raw, index) =>
    readPlugins(raw, name, `${path}.plugins[${index}]`, shared, defaults).map((plugin) =>
      'error' in plugin ? plugin : refuseDuplicate(plugin, taken),
    ),
  )
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
