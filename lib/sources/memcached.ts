import { randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import * as z from 'zod'
import { abortable } from '../time/abortable.ts'
import { checkArguments } from '../validation/arguments.ts'
import type { Source } from './contract.ts'
import { checkSize, documentSchema, fetchError, hash, maxBytesSchema } from './key-value.ts'
import { encodeManifest, type Manifest, nameParts, readManifest, splitDocument } from './memcached-parts.ts'
import { type DocumentInput, encodeDocument } from './published-document.ts'

/** What dynacode uses of a client of memjs, without a serializer. */
export interface MemcachedClient {
  readonly servers?: readonly { readonly host: string; readonly wakeupAt?: number | undefined }[]
  get(key: string): Promise<{ value: Uint8Array | string | null }>
  set(key: string, value: Buffer, options: { expires?: number }): Promise<boolean>
  touch(key: string, expires: number): Promise<boolean>
}

/** What `publish_document` uses of such a client. */
export interface MemcachedPublisher extends MemcachedClient {
  add(key: string, value: Buffer, options: { expires?: number }): Promise<boolean>
  delete(key: string): Promise<boolean>
}

/** Options of `memcached_source`. */
export interface MemcachedSourceOptions {
  /** Your app's client. Your app closes it. */
  readonly client: MemcachedClient
  /** The key that holds the document, or the list of its parts. */
  readonly key: string
  /**
   * Limit on the document's size, in bytes.
   *
   * @default 16 * 1024 * 1024
   */
  readonly max_bytes?: number | undefined
}

/** Memcached allows keys of 250 bytes; the names of parts are longer than the key they belong to. */
const MAX_KEY_BYTES = 200
/** How long parts stay that a new document has taken the place of: there may be readers in the middle of them. */
const OLD_PARTS_SECONDS = 60
/** How long parts stay whose publisher ended before it came to name them. */
const UNNAMED_PARTS_SECONDS = 600
/** How long a publisher may keep the others waiting. */
const TURN_SECONDS = 60
const LOOK_AGAIN_MS = 50

const client = z.custom<MemcachedClient>(isClient, 'a client of memjs')
const key = z.custom<string>(isKey, `a string of 1 to ${MAX_KEY_BYTES} bytes without spaces`)
const options = z.strictObject({ client, key, max_bytes: maxBytesSchema })

/**
 * Returns a source that reads the document from Memcached. Memcached has no notifications, so changes are found by polling.
 *
 * @throws OptionError if an option is wrong, missing or unknown
 */
export function memcached_source(given: MemcachedSourceOptions): Source {
  const { client, key, max_bytes } = checkArguments('memcached_source(options)', options, given)

  async function read(signal: AbortSignal, last: string | undefined) {
    const name = `Memcached key ${JSON.stringify(key)}`
    const expected = `${name}: expected the document`
    const value = await get(client, key, signal, expected)
    const manifest = readManifest(value)
    if (manifest === 'unreadable') throw fetchError(`${expected}, got a list of its parts that cannot be read`)
    const sizes = manifest?.sizes ?? [value.length]
    checkSize(
      sizes.reduce((sum, size) => sum + size),
      max_bytes,
      name,
    )
    if (manifest === undefined) return { bytes: value, tag: hash(value) }
    if (manifest.sha256 === last) return { bytes: undefined, tag: last }
    return { bytes: await join(client, key, manifest, signal), tag: manifest.sha256 }
  }

  return Object.freeze<Source>({
    async fetch(signal, last) {
      signal.throwIfAborted()
      const { bytes, tag } = await abortable(read(signal, last), signal)
      return bytes === undefined || tag === last ? { unchanged: true } : { bytes, tag }
    },
  })
}

async function join(client: MemcachedClient, key: string, manifest: Manifest, signal: AbortSignal): Promise<Buffer> {
  const parts: Uint8Array[] = []
  for (const [index, name] of nameParts(key, manifest).entries()) {
    const place = `part ${index + 1} of ${manifest.sizes.length}`
    const expected = `Memcached key ${JSON.stringify(name)}: expected ${place} of ${JSON.stringify(key)}`
    const part = await get(client, name, signal, expected)
    if (part.length !== manifest.sizes[index])
      throw fetchError(`${expected} with ${manifest.sizes[index]} bytes, got ${part.length}`)
    parts.push(part)
  }
  const bytes = Buffer.concat(parts)
  if (hash(bytes) === manifest.sha256) return bytes
  throw fetchError(`Memcached key ${JSON.stringify(key)}: expected parts with the SHA-256 that it names, got others`)
}

async function get(client: MemcachedClient, key: string, signal: AbortSignal, expected: string): Promise<Uint8Array> {
  signal.throwIfAborted()
  let value: Uint8Array | string | null
  try {
    value = (await client.get(key)).value
  } catch (cause) {
    const { message } = cause as Error
    throw fetchError(`${expected}, got no answer of the server: ${message}`, cause)
  }
  if (value instanceof Uint8Array) return value
  if (value !== null && value !== undefined)
    throw fetchError(`${expected} as bytes, got another type: is there a serializer?`)
  // With `failover`, memjs asks another server while the right one is down.
  const down = client.servers?.find(({ wakeupAt }) => wakeupAt !== undefined && wakeupAt > Date.now())
  if (down !== undefined) throw fetchError(`${expected}, got nothing: the server ${down.host} is down`)
  throw fetchError(`${expected}, got nothing: it was never published, has expired or was dropped for want of memory`)
}

/** Options of `publish_document`. */
export interface MemcachedPublishOptions {
  /** The key that is to hold the document. */
  readonly key: string
  /** The document: an object, or its JSON as a string or as bytes. */
  readonly document: DocumentInput
}

const publication = z.strictObject({
  key,
  document: documentSchema,
})

/**
 * Stores a document in Memcached, where it stays until it is evicted. A document that is larger than an item may be is
 * stored in parts, and the key is set last: readers get the old document or the new one, never a mix.
 *
 * @returns a promise that resolves once Memcached has the whole document, and rejects with the client's error if something
 *   failed. The key is then unchanged, or its state is unknown
 * @throws OptionError if an argument is wrong (as a rejection)
 * @throws DocumentError if every process would refuse the document; the published one stays (as a rejection)
 */
export async function publish_document(client: MemcachedPublisher, given: MemcachedPublishOptions): Promise<void> {
  const { key, document } = checkArguments('publish_document(client, options)', publication, given)
  const bytes = encodeDocument(document)
  const release = await takeTurn(client, `${key}:publishing`)
  try {
    const { value: old } = await client.get(key)
    await put(client, key, bytes)
    await retire(client, key, old)
  } finally {
    await release()
  }
}

/** One publisher at a time: none sees the parts of another one that has set the key between its own look and its own set. */
async function takeTurn(client: MemcachedPublisher, lock: string): Promise<() => Promise<void>> {
  const token = Buffer.from(randomUUID())
  // One that was killed holds nobody up for longer than that.
  while (!(await client.add(lock, token, { expires: TURN_SECONDS }))) await pause(LOOK_AGAIN_MS)
  return async () => {
    const { value } = await client.get(lock).catch(() => ({ value: null }))
    if (value !== null && token.equals(Buffer.from(value))) await client.delete(lock).catch(() => undefined)
  }
}

async function put(client: MemcachedPublisher, key: string, bytes: Buffer): Promise<void> {
  const split = splitDocument(bytes)
  if (split === undefined) {
    await client.set(key, bytes, {})
    return
  }
  const { manifest, parts } = split
  const names = nameParts(key, manifest)
  // What is never named by a key goes by itself.
  for (const [index, name] of names.entries())
    await client.set(name, parts[index] as Buffer, { expires: UNNAMED_PARTS_SECONDS })
  const kept = await Promise.all(names.map((name) => client.touch(name, 0)))
  const dropped = names[kept.indexOf(false)]
  if (dropped !== undefined)
    throw fetchError(`Memcached key ${JSON.stringify(dropped)}: was dropped as soon as it was set`)
  try {
    await client.set(key, encodeManifest(manifest), {})
  } catch (error) {
    const { value } = await client.get(key)
    // It may have been set all the same, for all that is known here.
    if (value === null || !encodeManifest(manifest).equals(Buffer.from(value)))
      await retire(client, key, encodeManifest(manifest))
    throw error
  }
}

/** Lets go of the parts that no key names any more. That may fail: it saves memory, nothing else. */
async function retire(client: MemcachedClient, key: string, old: Uint8Array | string | null): Promise<void> {
  const manifest = old instanceof Uint8Array ? readManifest(old) : undefined
  if (manifest === undefined || manifest === 'unreadable') return
  const names = nameParts(key, manifest)
  await Promise.allSettled(names.map((name) => client.touch(name, OLD_PARTS_SECONDS)))
}

function isClient(value: unknown): boolean {
  const client = value as Partial<Record<keyof MemcachedClient, unknown>> | null | undefined
  return typeof client?.get === 'function' && typeof client.set === 'function'
}

function isKey(value: unknown): boolean {
  if (typeof value !== 'string' || value === '' || Buffer.byteLength(value) > MAX_KEY_BYTES) return false
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what Memcached does not allow
  return !/[\x00-\x20\x7f]/.test(value)
}
