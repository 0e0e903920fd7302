import { types } from 'node:util'

const { getPrototypeOf } = Object

// What extends one of these may have more inside than can be seen.
const isList = (value: object): value is unknown[] => Array.isArray(value)
const isMap = (value: object): value is Map<unknown, unknown> =>
  types.isMap(value) && getPrototypeOf(value) === Map.prototype
const isSet = (value: object): value is Set<unknown> => types.isSet(value) && getPrototypeOf(value) === Set.prototype
const isDate = (value: object): value is Date => types.isDate(value) && getPrototypeOf(value) === Date.prototype
const isBytes = (value: object): value is Uint8Array => types.isUint8Array(value)
const isRecord = (value: object) => getPrototypeOf(value) === Object.prototype || getPrototypeOf(value) === null

/** Whether a value is an object that `copyData` copies. */
export function isData(value: unknown): value is object {
  if (typeof value !== 'object' || value === null) return false
  return isRecord(value) || isList(value) || isMap(value) || isSet(value) || isDate(value) || isBytes(value)
}

/**
 * Copies what JSON is made of, and Maps, Sets, Dates and bytes, in all its depth, and nothing else: all other objects in it
 * are the same. What occurs twice is copied once. Nothing calls itself: clients may send any depth.
 */
export function copyData(root: unknown): unknown {
  const copies = new Map<object, unknown>()
  const unfilled: (() => void)[] = []

  function copy(value: unknown): unknown {
    if (!isData(value)) return value
    if (!copies.has(value)) copies.set(value, begin(value))
    return copies.get(value)
  }

  /** Makes a copy that is to be filled later. */
  function begin(value: object): unknown {
    if (isBytes(value)) return Buffer.isBuffer(value) ? Buffer.from(value) : new Uint8Array(value)
    if (isDate(value)) return new Date(value.getTime())
    if (isMap(value)) {
      const map = new Map()
      unfilled.push(() => {
        for (const [key, inner] of value) map.set(copy(key), copy(inner))
      })
      return map
    }
    if (isSet(value)) {
      const set = new Set()
      unfilled.push(() => {
        for (const inner of value) set.add(copy(inner))
      })
      return set
    }
    if (isList(value)) {
      const list = value.slice()
      unfilled.push(() =>
        value.forEach((inner, at) => {
          list[at] = copy(inner)
        }),
      )
      return list
    }
    const record = Object.create(getPrototypeOf(value))
    unfilled.push(() => {
      for (const [key, inner] of Object.entries(value)) {
        Object.defineProperty(record, key, { value: copy(inner), writable: true, enumerable: true, configurable: true })
      }
    })
    return record
  }

  const copied = copy(root)
  for (let fill = unfilled.pop(); fill !== undefined; fill = unfilled.pop()) fill()
  return copied
}

/** Writes data as JSON, with what is in Maps, Sets and bytes. */
export function writeData(data: object): string {
  return JSON.stringify(data, function (this: Record<string, unknown>, key, inner: unknown) {
    // Bytes have been turned into JSON by then.
    const value = this[key]
    if (typeof value !== 'object' || value === null) return inner
    if (isBytes(value)) return { Bytes: Buffer.from(value).toString('base64') }
    if (isMap(value)) return { Map: [...value] }
    return isSet(value) ? { Set: [...value] } : inner
  })
}
