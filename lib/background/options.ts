import * as z from 'zod'
import { count, filePath, LONGEST_TIMER_SECONDS, seconds } from '../validation/shapes.ts'
import { type TrustedKeys, trustedKeysSchema } from '../validation/trusted-keys.ts'
import { MOST_ALIKE_EXPRESSIONS } from './reading/alike-expressions.ts'

/** When documents are fetched, which are accepted, and where they are kept. Durations are in seconds. */
export interface UpdateOptions {
  /**
   * Time from the end of one poll to the start of the next, in seconds. At least 0.001; together with the jitter at most
   * 2 147 483.647, the range of Node's timers.
   *
   * @default 30
   */
  plugin_api_polling_interval?: number
  /**
   * Whether to poll at once, rather than after the first interval. The next wait is then a random part of the interval, which
   * spreads the polls of processes that start together.
   *
   * @default true
   */
  plugin_api_poll_at_init?: boolean
  /**
   * Random time added to every wait, in seconds. 0: none.
   *
   * @default 10 % of `plugin_api_polling_interval`
   */
  workers_max_jitter?: number
  /**
   * Longest wait after failed fetches, in seconds. The first wait is random, up to twice the interval. This limit doubles with
   * each further failure. A Retry-After header may ask for a longer wait, up to an hour.
   *
   * @default twice `plugin_api_polling_interval`
   */
  plugin_api_backoff_max?: number
  /**
   * File that stores the live document. The previous one is stored beside it. A process that starts without the API loads the
   * file, and the processes of a machine share what one of them has fetched. Use a folder that only the app's user can write
   * to.
   *
   * @default none: nothing is written
   * @example '/var/lib/app/dynacode.cache'
   */
  cache_path?: string
  /**
   * The document to start with if there is no cache: an object, or the path of a file. The first document from the API or the
   * cache replaces it.
   *
   * @default none
   */
  bootstrap?: object | string
  /**
   * The live document counts as stale if the API has not confirmed or replaced it for this long, in seconds.
   *
   * @default Infinity
   */
  max_stale_seconds?: number
  /**
   * How many domains a document may have. A document with more is refused.
   *
   * @default 100000
   */
  max_domains?: number
  /**
   * How many regular expressions without distinctive fixed text a document may have in its domain names and `skip_domains`. A
   * document with more is refused, because all of these are tested for each new host.
   *
   * @default 300
   */
  max_alike_expressions?: number
  /**
   * How many plugins a document may have in all domains together. A document with more is refused.
   *
   * @default 100000
   */
  max_plugins?: number
  /**
   * How long the code of a plugin may be, in bytes of UTF-8. A document with longer code is refused.
   *
   * @default 1 048 576
   */
  max_code_bytes?: number
  /**
   * Share of the live plugins that a document may remove at once, from 0 to 1. A document that removes more is refused, unless
   * it has `"allow_removal": true` in `general`. 1: no limit.
   *
   * @default 1
   */
  max_removed_ratio?: number
  /**
   * Public keys, as a JWK Set. With this option, a document is accepted only if it is signed by one of these keys, and not
   * older than one that was accepted before. See docs/trust.md.
   *
   * @default none: documents are not signed
   */
  trusted_keys?: TrustedKeys
  /**
   * How many compiled plugins are cached. Live plugins count, and are never evicted. At most 1 000 000, because memory for that
   * many is reserved at once.
   *
   * @default 10000
   */
  compile_cache_max?: number
}

type Optional = 'cache_path' | 'bootstrap' | 'trusted_keys'

/** These options with their defaults filled in. */
export type UpdateSettings = Readonly<Required<Omit<UpdateOptions, Optional>> & Pick<UpdateOptions, Optional>>

/** @internal */
export const updateOptions = {
  plugin_api_polling_interval: seconds.default(30),
  plugin_api_poll_at_init: z.boolean().default(true),
  workers_max_jitter: z.number().nonnegative().max(LONGEST_TIMER_SECONDS).optional(),
  plugin_api_backoff_max: seconds.optional(),
  cache_path: filePath.optional(),
  bootstrap: z
    .union([filePath, z.custom<object>((value) => typeof value === 'object' && value !== null, 'an object')])
    .optional(),
  max_stale_seconds: z
    .union([z.literal(Number.POSITIVE_INFINITY), z.number().positive()])
    .default(Number.POSITIVE_INFINITY),
  max_domains: count.default(100_000),
  max_alike_expressions: count.default(MOST_ALIKE_EXPRESSIONS),
  max_plugins: count.default(100_000),
  max_code_bytes: count.default(1024 * 1024),
  max_removed_ratio: z.number().min(0).max(1).default(1),
  trusted_keys: trustedKeysSchema.optional(),
  compile_cache_max: count.max(1_000_000).default(10_000),
}
