import { DocumentError } from '../../errors.ts'
import { KNOWN_STRETCH, type Steps } from '../../time/steps.ts'

/** How large a document may be. */
export interface DocumentCaps {
  readonly max_domains: number
  readonly max_plugins: number
  /** Of one plugin, in bytes of UTF-8. */
  readonly max_code_bytes: number
}

/** Something that is to be counted, or was. */
type Counted = { readonly raw: unknown } | { readonly count: number }

/**
 * Counts what is in a document.
 *
 * @returns how many plugins each of the shared ones and each domain has; undefined when a cap is passed by what was not read, so
 *   that where it is passed cannot be told
 * @throws DocumentError when a cap is passed
 */
export function* checkCaps(
  domains: readonly Counted[],
  shared: readonly Counted[],
  caps: DocumentCaps,
): Steps<{ domains: readonly number[]; shared: readonly number[] } | undefined> {
  checkCap('domains', domains.length, 'max_domains', caps.max_domains)
  checkCap('plugins', shared.length, 'max_plugins', caps.max_plugins)
  const counts = { domains: [] as number[], shared: [] as number[] }
  let plugins = shared.length
  for (const [index, part] of shared.entries()) {
    const before = plugins
    plugins = 'raw' in part ? countPlugin(part.raw, `plugins[${index}]`, plugins, caps) : plugins + part.count - 1
    if (plugins > caps.max_plugins) return undefined
    counts.shared.push(plugins - before + 1)
    if ('raw' in part || index % KNOWN_STRETCH === 0) yield
  }
  for (const [index, part] of domains.entries()) {
    const before = plugins
    if ('raw' in part) {
      const list = (part.raw as { plugins?: unknown }).plugins
      plugins = yield* countPlugins(list, `domains[${index}].plugins`, plugins, caps)
    } else plugins += part.count
    if (plugins > caps.max_plugins) return undefined
    counts.domains.push(plugins - before)
    if ('raw' in part || index % KNOWN_STRETCH === 0) yield
  }
  return counts
}

/** How many plugins there are with those of a list, as caps count them. */
function* countPlugins(list: unknown, path: string, before: number, caps: DocumentCaps): Steps<number> {
  if (!Array.isArray(list)) return before
  let plugins = before + list.length
  checkCap(path, plugins, 'max_plugins', caps.max_plugins)
  for (const [at, plugin] of list.entries()) {
    plugins = countPlugin(plugin, `${path}[${at}]`, plugins, caps)
    yield
  }
  return plugins
}

/** How many there are with a plugin's further variants: each of them is compiled, and runs, as a plugin of its own. */
function countPlugin(plugin: unknown, path: string, before: number, caps: DocumentCaps): number {
  const { code, variants } = (plugin ?? {}) as { code?: unknown; variants?: unknown }
  checkCode(code, `${path}.code`, caps)
  if (!Array.isArray(variants)) return before
  const plugins = before + Math.max(variants.length - 1, 0)
  checkCap(`${path}.variants`, plugins, 'max_plugins', caps.max_plugins)
  for (const [nth, variant] of variants.entries()) checkCode(variant?.code, `${path}.variants[${nth}].code`, caps)
  return plugins
}

function checkCode(code: unknown, path: string, { max_code_bytes }: DocumentCaps): void {
  // No character takes more than three bytes.
  if (typeof code !== 'string' || code.length * 3 <= max_code_bytes) return
  checkCap(path, Buffer.byteLength(code), 'max_code_bytes', max_code_bytes)
}

function checkCap(path: string, count: number, name: string, cap: number): void {
  if (count > cap) throw new DocumentError(path, `expected at most ${cap} (${name}), got ${count}`)
}
