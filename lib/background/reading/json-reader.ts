import { parse, scan } from 'secure-json-parse'

/** The fields that say for which requests a plugin is. Without a part of them it would be for more than was meant. */
const NARROWING = ['when', 'rollout', 'variants']
/** Stands in for such a field, so that it is refused. */
const TAINTED = 'an object with a key __proto__ or constructor'

/**
 * Reads the JSON of a document. Keys that could change a prototype are dropped wherever they stand, as any unknown field is,
 * but for the fields that narrow down a plugin's requests: these are made such that no plugin is accepted with them.
 *
 * @throws SyntaxError when it is not valid JSON
 */
export function readJson(text: string): unknown {
  try {
    return parse(text, { protoAction: 'error', constructorAction: 'error' })
  } catch {
    // What is not valid JSON at all throws here once more.
    const value = parse(text, { protoAction: 'ignore', constructorAction: 'ignore' })
    for (const plugin of pluginsOf(value)) {
      for (const name of NARROWING) if (isTainted(plugin[name])) plugin[name] = TAINTED
    }
    return scan(value, { protoAction: 'remove', constructorAction: 'remove' })
  }
}

/**
 * Reads the JSON of one item of a document's list, to the same as where it stands.
 *
 * @param list the key of that list
 * @throws SyntaxError when it is not valid JSON, or not that of one item
 */
export function readItem(text: string, list: 'domains' | 'plugins'): unknown {
  const { [list]: items } = readJson(`{"${list}":[${text}]}`) as { readonly [list: string]: readonly unknown[] }
  if (items?.length !== 1) throw new SyntaxError('expected one item')
  return items[0]
}

function pluginsOf(document: unknown): Record<string, unknown>[] {
  const lists = [document, ...listOf(document, 'domains')].flatMap((owner) => listOf(owner, 'plugins'))
  return lists.filter((plugin) => typeof plugin === 'object' && plugin !== null) as Record<string, unknown>[]
}

function listOf(owner: unknown, name: string): unknown[] {
  const list = (owner as Record<string, unknown> | null)?.[name]
  return Array.isArray(list) ? list : []
}

function isTainted(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  try {
    scan(value, { protoAction: 'error', constructorAction: 'error' })
    return false
  } catch {
    return true
  }
}
