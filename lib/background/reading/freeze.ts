/** Deepest nesting of `params`. */
export const MAX_DEPTH = 100

/**
 * Freezes JSON data through and through, without recursion: its depth is the API's choice.
 *
 * @returns the value, or undefined when it is nested more than 100 deep
 */
export function freezeDeep<T extends object>(value: T): T | undefined {
  let level: object[] = [value]
  for (let depth = 0; level.length > 0; depth += 1) {
    if (depth === MAX_DEPTH) return undefined
    const next: object[] = []
    for (const item of level) {
      Object.freeze(item)
      for (const child of Object.values(item)) if (typeof child === 'object' && child !== null) next.push(child)
    }
    level = next
  }
  return value
}
