import { spellingsOf } from './path-pattern.ts'

/** What is for listed paths only, or for any (undefined). */
interface Listed {
  readonly paths: readonly string[] | undefined
}

/** The items that may be for the path that a request has now, in their order. */
export type PathIndex<T> = (ctx: Parameters<typeof spellingsOf>[0]) => readonly T[]

/** For fewer there is no index: to ask each of them is as fast. */
const WORTHWHILE = 4

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
  const elsewhere = Object.freeze(unlisted.map((order) => items[order] as T))

  return (ctx) => {
    // A plugin has left what is no path: each of them is asked for itself, and it is the plugin that fails, not the request.
    const paths = tryReadingPaths(ctx)
    if (paths === undefined) return items
    const found = paths.flatMap((path) => [...(byPath.get(path) ?? [])])
    if (found.length === 0) return elsewhere
    const orders = [...new Set([...unlisted, ...found])].sort((a, b) => a - b)
    return orders.map((order) => items[order] as T)
  }
}

/** In lower case; undefined where the client sent something that has none, such as `http://[`. */
function tryReadingPaths(ctx: Parameters<typeof spellingsOf>[0]): readonly string[] | undefined {
  try {
    return spellingsOf(ctx).map(({ lower }) => lower)
  } catch {
    return undefined
  }
}
