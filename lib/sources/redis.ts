import * as z from 'zod'
import { DynacodeError } from '../errors.ts'
import { abortable } from '../time/abortable.ts'
import { checkArguments } from '../validation/arguments.ts'
import type { Source } from './contract.ts'
import { checkSize, documentSchema, fetchError, hash, maxBytesSchema } from './key-value.ts'
import { type DocumentInput, encodeDocument } from './published-document.ts'
import { type ChannelClient, isChannelClient, watchChannel } from './redis-channel.ts'

/**
 * What `redis_source` uses of a client that `createClient()`, `createCluster()` or `createSentinel()` of node-redis (`redis`,
 * version 5 or 6) makes.
 */
export interface RedisClient extends ChannelClient {
  readonly isOpen: boolean
  /** Version 5 does not say it of a cluster. */
  readonly isReady?: boolean
  withCommandOptions(options: { typeMapping: { 36: BufferConstructor }; abortSignal: AbortSignal }): Reader
  type(key: string): Promise<unknown>
}
interface Reader {
  strLen(key: string): Promise<unknown>
  get(key: string): Promise<unknown>
}

/** Options of `redis_source`. */
export interface RedisSourceOptions {
  /** Your app's client. Your app connects it, handles its errors and closes it. */
  readonly client: RedisClient
  /** The key that holds the document, as a string. */
  readonly key: string
  /** The channel that announces changes. Any message there triggers a fetch. */
  readonly channel: string
  /**
   * Limit on the document's size, in bytes.
   *
   * @default 16 * 1024 * 1024
   */
  readonly max_bytes?: number | undefined
}

/** RESP's number for a string; what it is mapped to keeps every byte as it is. */
const BLOB_STRING = 36

const options = z.strictObject({
  client: z.custom<RedisClient>(isClient, 'a client that createClient() of redis made'),
  key: z.string().min(1),
  channel: z.string().min(1),
  max_bytes: maxBytesSchema,
})

/**
 * Returns a source that reads the document from a key in Redis, and receives notice of changes by pub/sub. It subscribes on a
 * second connection, a duplicate of the client's, which never keeps the process alive.
 *
 * @throws OptionError if an option is wrong, missing or unknown
 */
export function redis_source(given: RedisSourceOptions): Source {
  const { client, key, channel, max_bytes } = checkArguments('redis_source(options)', options, given)
  return Object.freeze<Source>({
    async fetch(signal, last) {
      const bytes = await abortable(readKey(client, key, max_bytes, signal), signal)
      const tag = hash(bytes)
      return tag === last ? { unchanged: true } : { bytes, tag }
    },
    watch: (changed) => watchChannel(client, channel, changed),
  })
}

async function readKey(client: RedisClient, key: string, max_bytes: number, signal: AbortSignal): Promise<Uint8Array> {
  const name = `Redis key ${JSON.stringify(key)}`
  const expected = `${name}: expected the document as a string`
  signal.throwIfAborted()
  // Connecting it is left to the app, which could not do so itself any more. Once it is connected, `watch` reports it.
  if (!client.isOpen) throw fetchError(`${expected}, but the client is not connected: call its connect()`)
  // It would queue the command, and might still do so when the deadline is over.
  if (client.isReady === false) throw fetchError(`${expected}, but the client has no connection now`)
  let value: unknown
  try {
    const reader = client.withCommandOptions({ typeMapping: { [BLOB_STRING]: Buffer }, abortSignal: signal })
    checkSize(Number(await measure(reader, key)), max_bytes, name)
    value = await reader.get(key)
  } catch (cause) {
    if (cause instanceof DynacodeError) throw cause
    const { message } = cause as Error
    const came = /^WRONGTYPE\b/.test(message) ? await describeType(client, key) : `an error: ${message}`
    throw fetchError(`${expected}, got ${came}`, cause)
  }
  // With sentinels, version 5 ignores that.
  if (typeof value === 'string') value = Buffer.from(value)
  if (value instanceof Uint8Array) {
    checkSize(value.length, max_bytes, name)
    return value
  }
  throw fetchError(`${expected}, got nothing: it was never published, was deleted or has expired`)
}

/** Bytes of the value, before it is read; 0 where the client's user may not ask. */
async function measure(reader: Reader, key: string): Promise<unknown> {
  try {
    return await reader.strLen(key)
  } catch (error) {
    if (/^NOPERM\b/.test((error as Error).message)) return 0
    throw error
  }
}

async function describeType(client: RedisClient, key: string): Promise<string> {
  try {
    return `a ${await client.type(key)}`
  } catch {
    return 'another type'
  }
}

function isClient(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  return 'withCommandOptions' in value && typeof value.withCommandOptions === 'function' && isChannelClient(value)
}

/** What `publish_document` uses of a client of node-redis. */
export interface RedisPublisher {
  multi(): RedisTransaction
}
interface RedisTransaction {
  set(key: string, value: Buffer): { publish(channel: string, message: string): { exec(): Promise<unknown> } }
}

/** Options of `publish_document`. */
export interface RedisPublishOptions {
  /** The key for the document. */
  readonly key: string
  /** The channel that announces the change. */
  readonly channel: string
  /** The document: an object, or its JSON as a string or as bytes. */
  readonly document: DocumentInput
}

const publication = z.strictObject({
  key: z.string().min(1),
  channel: z.string().min(1),
  document: documentSchema,
})

/**
 * Stores a document in Redis and announces it, in one transaction: no process is notified before the document is there.
 *
 * @returns a promise that resolves once Redis has both, and rejects with the client's error if it has neither
 * @throws OptionError if an argument is wrong (as a rejection)
 * @throws DocumentError if every process would refuse the document; the published one stays (as a rejection)
 */
export async function publish_document(client: RedisPublisher, given: RedisPublishOptions): Promise<void> {
  const { key, channel, document } = checkArguments('publish_document(client, options)', publication, given)
  const bytes = encodeDocument(document)
  await client.multi().set(key, bytes).publish(channel, hash(bytes)).exec()
}
