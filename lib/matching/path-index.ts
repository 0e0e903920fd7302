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
  const byPath = new Map<string, number[]>()
  items.forEach(({ paths }, order) => {
    for (const path of new Set(paths)) {
      const orders = byPath.get(path)
      if (orders === undefined) byPath.set(path, [order])
      else orders.push(order)
    }
  })
  const list = (found: readonly number[]) => {
    const orders = [...new Set([...unlisted, ...found])].sort((a, b) => a - b)
    return Object.freeze(orders.map((order) => items[order] as T))
  }
  const elsewhere = list([])
  /** By the paths that were asked for, of those that are listed. */
  const lists = new Map<string, readonly T[]>()

  function listOf(path: string): readonly T[] {
    const known = lists.get(path)
    if (known !== undefined) return known
    const found = byPath.get(path)
    if (found === undefined) return elsewhere
    const made = list(found)
    lists.set(path, made)
    return made
  }

  return (ctx) => {
    // A plugin has left what is no path: each of them is asked for itself, and it is the plugin that fails, not the request.
    const spellings = tryReadingSpellings(ctx)
    if (spellings === undefined) return items
    const [only] = spellings
    if (spellings.length === 1 && only !== undefined) return listOf(only.lower)
    const found = spellings.flatMap(({ lower }) => byPath.get(lower) ?? [])
    return found.length === 0 ? elsewhere : list(found)
  }
}

/** Undefined where the client sent something that has no path, such as `http://[`. */
function tryReadingSpellings(ctx: Parameters<typeof spellingsOf>[0]): ReturnType<typeof spellingsOf> | undefined {
  try {
    return spellingsOf(ctx)
  } catch {
    return undefined
  }
}
