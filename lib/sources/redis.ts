import { createHash } from 'node:crypto'
import * as z from 'zod'
import { DynacodeError } from '../errors.ts'
import { abortable } from '../time/abortable.ts'
import { checkArguments } from '../validation/arguments.ts'
import type { Source } from './contract.ts'
import { type DocumentInput, encodeDocument } from './published-document.ts'
import { type ChannelClient, watchChannel } from './redis-channel.ts'

/** What `redis_source` uses of a client that `createClient()` of node-redis (`redis`, version 5 or 6) makes. */
export interface RedisClient extends ChannelClient {
  readonly isOpen: boolean
  readonly isReady: boolean
  withCommandOptions(options: { typeMapping: { 36: BufferConstructor }; abortSignal: AbortSignal }): {
    get(key: string): Promise<unknown>
  }
  type(key: string): Promise<unknown>
}

/** What `redis_source` takes. */
export interface RedisSourceOptions {
  /** The app's own client. The app connects it, handles its errors and closes it. */
  readonly client: RedisClient
  /** The key that holds the document, as a string. */
  readonly key: string
  /** The channel on which changes are told; whatever is published there asks for a fetch. */
  readonly channel: string
}

/** RESP's number for a string; what it is mapped to keeps every byte as it is. */
const BLOB_STRING = 36

const options = z.strictObject({
  client: z.custom<RedisClient>(isClient, 'a client that createClient() of redis made'),
  key: z.string().min(1),
  channel: z.string().min(1),
})

/**
 * A source that reads the document from a key of Redis, and is told of changes by pub/sub. Listening takes a connection of
 * its own, a duplicate of the client's, that never keeps the process alive.
 *
 * @throws OptionError when an option is wrong, missing or unknown
 */
export function redis_source(given: RedisSourceOptions): Source {
  const { client, key, channel } = checkArguments('redis_source(options)', options, given)
  let stop: (() => void) | undefined
  return Object.freeze<Source>({
    async fetch(signal, last) {
      const bytes = await abortable(readKey(client, key, signal), signal)
      const tag = createHash('sha256').update(bytes).digest('hex')
      return tag === last ? { unchanged: true } : { bytes, tag }
    },
    watch(changed) {
      stop = watchChannel(client, channel, changed)
      return stop
    },
    close: () => stop?.(),
  })
}

async function readKey(client: RedisClient, key: string, signal: AbortSignal): Promise<Uint8Array> {
  const expected = `Redis key ${JSON.stringify(key)}: expected the document as a string`
  signal.throwIfAborted()
  // Connecting it is left to the app, which could not do so itself any more. Once it is connected, `watch` tells of it.
  if (!client.isOpen) throw fetchError(`${expected}, but the client is not connected: call its connect()`)
  // It would queue the command, and might still do so when the deadline is over.
  if (!client.isReady) throw fetchError(`${expected}, but the client has no connection now`)
  let value: unknown
  try {
    value = await client.withCommandOptions({ typeMapping: { [BLOB_STRING]: Buffer }, abortSignal: signal }).get(key)
  } catch (cause) {
    const { message } = cause as Error
    const came = /^WRONGTYPE\b/.test(message) ? await describeType(client, key) : `an error: ${message}`
    throw fetchError(`${expected}, got ${came}`, cause)
  }
  if (value instanceof Uint8Array) return value
  throw fetchError(`${expected}, got nothing: it was never published, was deleted or has expired`)
}

async function describeType(client: RedisClient, key: string): Promise<string> {
  try {
    return `a ${await client.type(key)}`
  } catch {
    return 'another type'
  }
}

function fetchError(message: string, cause?: unknown): DynacodeError {
  return new DynacodeError('ERR_DYNACODE_FETCH', message, cause === undefined ? {} : { cause })
}

function isClient(value: unknown): boolean {
  const client = value as Partial<Record<keyof RedisClient, unknown>> | null | undefined
  return typeof client?.duplicate === 'function' && typeof client.withCommandOptions === 'function'
}

/** What `publish_document` uses of a client of node-redis. */
export interface RedisPublisher {
  multi(): RedisTransaction
}
interface RedisTransaction {
  set(key: string, value: Buffer): { publish(channel: string, message: string): { exec(): Promise<unknown> } }
}

/** What `publish_document` takes. */
export interface RedisPublishOptions {
  /** The key that is to hold the document. */
  readonly key: string
  /** The channel on which the change is told. */
  readonly channel: string
  /** The document: an object, or its JSON as a string or as bytes. */
  readonly document: DocumentInput
}

const publication = z.strictObject({
  key: z.string().min(1),
  channel: z.string().min(1),
  document: z.custom<DocumentInput>(isDocument, 'an object, a string or bytes'),
})

/**
 * Puts a document into Redis and tells of it, in one transaction: nobody is told of a document that is not there yet.
 *
 * @returns a promise that resolves once Redis has both, and rejects with the client's error if it has neither
 * @throws OptionError when an argument is wrong (as a rejection)
 * @throws DocumentError when dynacode could not read the document; what was published before stays (as a rejection)
 */
export async function publish_document(client: RedisPublisher, given: RedisPublishOptions): Promise<void> {
  const { key, channel, document } = checkArguments('publish_document(client, options)', publication, given)
  const bytes = encodeDocument(document)
  const message = createHash('sha256').update(bytes).digest('hex')
  await client.multi().set(key, bytes).publish(channel, message).exec()
}

function isDocument(value: unknown): boolean {
  return typeof value === 'string' || (typeof value === 'object' && value !== null)
}
