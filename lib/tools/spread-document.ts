import { DocumentError } from '../errors.ts'
import { MANIFEST } from '../sources/folder/manifest.ts'

type Fields = Readonly<Record<string, unknown>>

/** A file's name means the same on every system: no more than these characters, and none of Windows' own names. */
const UNSAFE = /[^a-z0-9]+/g
const RESERVED = /^(con|prn|aux|nul|com\d|lpt\d)$/
const LONGEST = 60

/**
 * Spreads a document over files: the manifest, and one for the code of each plugin. Packed again, it is the same document.
 *
 * @returns contents by the files' names
 * @throws DocumentError when a plugin has a field `file` of its own, which would then be one's name
 */
export function spreadDocument(document: unknown): ReadonlyMap<string, string> {
  const codes = new Map<string, string>()
  const spreadOwner = (owner: Fields, name: string) =>
    mapFields(owner, (key, value) => {
      if (key === 'file' && value != null)
        throw new DocumentError('', `the plugin ${JSON.stringify(name)} has a field "file"`)
      if (key !== 'code' || typeof value !== 'string' || Object.hasOwn(owner, 'file') || !isText(value)) {
        return [key, value]
      }
      const file = chooseName(name, value, codes)
      codes.set(file, value)
      return ['file', file]
    })
  const manifest = mapPlugins(document, (plugin) => {
    const name = nameOf(plugin)
    const variants = (value: unknown) => mapList(value, (variant) => spreadOwner(variant, `${name}-${nameOf(variant)}`))
    return mapFields(spreadOwner(plugin, name), (key, value) => [key, key === 'variants' ? variants(value) : value])
  })
  return new Map([[MANIFEST, `${JSON.stringify(manifest, undefined, 2)}\n`], ...codes])
}

/**
 * Puts the code of a composed document where the manifest names the file, so that the order of the fields is the
 * manifest's.
 */
export function orderAsManifest(manifest: unknown, composed: unknown): unknown {
  if (Array.isArray(manifest) && Array.isArray(composed)) {
    return manifest.map((each, index) => orderAsManifest(each, composed[index]))
  }
  if (!isFields(manifest) || !isFields(composed)) return composed
  return mapFields(manifest, (key, value) => {
    const name = key === 'file' && !Object.hasOwn(composed, 'file') ? 'code' : key
    return [name, orderAsManifest(value, composed[name])]
  })
}

/** The same document, with each of its plugins as `map` makes it: the shared ones, and those of each domain. */
function mapPlugins(document: unknown, map: (plugin: Fields) => Fields): unknown {
  const inOwner = (owner: Fields) =>
    mapFields(owner, (key, value) => [key, key === 'plugins' ? mapList(value, map) : value])
  if (!isFields(document)) return document
  return mapFields(inOwner(document), (key, value) => [key, key === 'domains' ? mapList(value, inOwner) : value])
}

function mapList(list: unknown, map: (item: Fields) => Fields): unknown {
  return Array.isArray(list) ? list.map((item) => (isFields(item) ? map(item) : item)) : list
}

/** A copy, with its fields in the same order; a field of the name `__proto__` stays one. */
function mapFields(fields: Fields, map: (key: string, value: unknown) => [string, unknown]): Fields {
  return Object.fromEntries(Object.entries(fields).map(([key, value]) => map(key, value)))
}

/** Whether a file can hold it: half a surrogate pair has no bytes in UTF-8, and a mark at its start is dropped. */
function isText(code: string): boolean {
  return Buffer.from(code).toString() === code && !code.startsWith('\ufeff')
}

/** A name that no other code has; the same code under the same name is one file. */
function chooseName(name: string, code: string, codes: ReadonlyMap<string, string>): string {
  const safe = name.toLowerCase().replace(UNSAFE, '-').slice(0, LONGEST).replace(/^-|-$/g, '') || 'plugin'
  const base = RESERVED.test(safe) ? `${safe}-plugin` : safe
  for (let number = 1; ; number += 1) {
    const file = number === 1 ? `${base}.js` : `${base}-${number}.js`
    if (!codes.has(file) || codes.get(file) === code) return file
  }
}

function nameOf({ name, id }: Fields): string {
  return typeof name === 'string' ? name : String(id ?? '')
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
