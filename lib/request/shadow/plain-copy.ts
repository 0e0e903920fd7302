/** Copies what JSON is made of, in all its depth, and nothing else. */
export function copyPlain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(copyPlain)
  if (typeof value !== 'object' || value === null) return value
  const prototype = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null) return value
  const copy = Object.create(prototype)
  for (const [key, inner] of Object.entries(value)) {
    Object.defineProperty(copy, key, { value: copyPlain(inner), writable: true, enumerable: true, configurable: true })
  }
  return copy
}
