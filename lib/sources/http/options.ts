import type { Dispatcher } from 'undici'
import * as z from 'zod'
import { count, httpAddress, seconds, withMethod } from '../../validation/shapes.ts'
import type { Source } from '../contract.ts'
import { type ApiHeaders, type HeadersFunction, headersOption } from './request-headers.ts'

/** Where documents come from. Durations are in seconds. */
export interface ApiOptions {
  /**
   * URL of the API that serves the document, with `http:` or `https:`. Required, unless `source` is given.
   *
   * @example 'http://api:9090/plugins.json'
   */
  plugin_api_uri?: string
  /** Where documents come from, instead of `plugin_api_uri`: a folder, Redis, Memcached, or your own source. */
  source?: Source
  /**
   * Deadline of a whole fetch, in seconds, from the DNS lookup to the last byte of the body. The same range as
   * `plugin_api_polling_interval`.
   *
   * @default 5
   */
  plugin_api_timeout?: number
  /**
   * Long polling: how long the API may hold its answer until there is a change, in whole seconds. A change is then live within
   * milliseconds. dynacode sends `Prefer: wait=…` (RFC 7240) in a separate request, in addition to the ordinary polls. An API
   * that does not support it is polled as usual. 0: no long polling.
   *
   * @default 0
   */
  plugin_api_wait?: number
  /**
   * Headers for each request to the API: an object, or a function (may be async) that is called for each request, and once
   * more if the API answers 401. They are never sent to another origin.
   *
   * @default {}
   * @example { authorization: 'Bearer …' }
   */
  plugin_api_headers?: ApiHeaders | HeadersFunction
  /**
   * undici dispatcher that sends the requests to the API: for client certificates, a proxy or your own agent. You close it.
   * Its sockets may keep the process alive.
   *
   * @default none: Node's own HTTP client
   */
  plugin_api_dispatcher?: Dispatcher
  /**
   * Limit on the document's size, in bytes after decompression. At most 536 870 888, the longest text that Node can
   * hold.
   *
   * @default 16 777 216
   */
  plugin_api_max_bytes?: number
  /**
   * How many redirects by the API are followed. 0: none; a redirect is an error.
   *
   * @default 0
   */
  plugin_api_redirects?: number
  /**
   * Whether the API may send only the changes to the live document, rather than the whole document (`A-IM`, RFC 3229). An API
   * that does not support this ignores the header. dynacode verifies the result by its SHA-256, and then like any document.
   *
   * @default true
   */
  plugin_api_deltas?: boolean
}

type Optional = 'plugin_api_uri' | 'source' | 'plugin_api_dispatcher'

/** These options with their defaults filled in. */
export type ApiSettings = Readonly<Required<Omit<ApiOptions, Optional>> & Pick<ApiOptions, Optional>>

/** The longest text that Node can hold, in bytes. */
const LONGEST_TEXT = 536_870_888

/** @internal */
export const apiOptions = {
  plugin_api_uri: httpAddress.optional(),
  source: withMethod<Source>('fetch', 'an object with a fetch method').optional(),
  plugin_api_timeout: seconds.default(5),
  plugin_api_wait: z.int().nonnegative().max(3600).default(0),
  plugin_api_headers: headersOption,
  plugin_api_dispatcher: withMethod<Dispatcher>('dispatch', 'an undici Dispatcher').optional(),
  plugin_api_max_bytes: count.max(LONGEST_TEXT).default(16 * 1024 * 1024),
  plugin_api_redirects: z.int().nonnegative().max(20).default(0),
  plugin_api_deltas: z.boolean().default(true),
}
