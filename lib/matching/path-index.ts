import { LRUCache } from 'lru-cache'
import { lowerPathOf } from './path-pattern.ts'

/** What is for listed paths only, or for any (undefined). */
interface Listed {
  readonly paths: readonly string[] | undefined
}

/** The items that may be for the path that a request has now, in their order. */
export type PathIndex<T> = (ctx: Parameters<typeof lowerPathOf>[0]) => readonly T[]

/** For fewer there is no index: to ask each of them is as fast. */
const WORTHWHILE = 4
/** Paths whose items are remembered. */
const REMEMBERED_PATHS = 1000

/**
 * Makes an index of items by path, so that a request's cost does not grow with what is for other paths.
 *
 * @returns undefined where it would not be worth it
 */
export function createPathIndex<T extends Listed>(items: readonly T[]): PathIndex<T> | undefined {
  const unlisted = items.flatMap(({ paths }, order) => (paths === undefined ? [order] : []))
  if (items.length - unlisted.length < WORTHWHILE) return undefined
  const byPath = new Map<string, Set<number>>()
  items.forEach(({ paths }, order) => {
    for (const path of paths ?? []) byPath.set(path, (byPath.get(path) ?? new Set()).add(order))
  })
  const itemsAt = (orders: Iterable<number>) =>
    Object.freeze([...orders].sort((a, b) => a - b).map((order) => items[order] as T))
  const elsewhere = itemsAt(unlisted)
  const all = Object.freeze([...items])
  const remembered = new LRUCache<string, readonly T[]>({ max: REMEMBERED_PATHS })

  return (ctx) => {
    const path = tryReadingPath(ctx)
    // Each of them is asked for itself, and it is the plugin that fails, not the request.
    if (path === undefined) return all
    const orders = byPath.get(path)
    if (orders === undefined) return elsewhere
    let found = remembered.get(path)
    if (found === undefined) {
      found = itemsAt([...unlisted, ...orders])
      remembered.set(path, found)
    }
    return found
  }
}

/** The path in lower case; undefined where the client sent something that has none, such as `http://[`. */
function tryReadingPath(ctx: Parameters<typeof lowerPathOf>[0]): string | undefined {
  try {
    return lowerPathOf(ctx)
  } catch {
    return undefined
  }
}
