import * as z from 'zod'
import type { GuardMode } from '../document.ts'
import { filePath, milliseconds } from '../validation/shapes.ts'
import { type DebugOptions, debugOptionsSchema } from './debug/options.ts'

/** What requests get, and how plugins are limited. */
export interface RequestOptions {
  /**
   * What a request gets before the first document is live. `open`: it passes to the app without plugins. `closed`: it gets
   * 503. `wait`: it waits for the document for at most `plugin_api_timeout` seconds, and then gets 503.
   *
   * @default 'open'
   */
  when_not_loaded?: 'open' | 'closed' | 'wait'
  /**
   * What requests get while the live document is stale, or past its `general.expires`. `serve`: the same as before.
   * `closed`: 503.
   *
   * @default 'serve'
   */
  when_stale?: 'serve' | 'closed'
  /**
   * How dynacode stops plugins that take too long. `on`: by checks inside their code. `strict`: V8 also interrupts code that
   * contains no check (costs about 10 µs per run). `off`: not at all. A plugin's own `guard` in the document takes precedence.
   *
   * @default 'on'
   */
  guard?: GuardMode
  /**
   * How long a plugin may block the event loop in one turn, in milliseconds.
   *
   * @default 50
   */
  budget_ms?: number
  /**
   * How long an asynchronous run of a plugin may take in total, in milliseconds.
   *
   * @default 5000
   */
  timeout_ms?: number
  /**
   * The number of failures in a row, or of overruns within a minute, after which a plugin's breaker opens and the plugin is
   * skipped for a while. 0: never.
   *
   * @default 5
   */
  breaker_failures?: number
  /**
   * Whether V8 may switch a regular expression that backtracks too much to linear time. Applies to the whole process,
   * including your app's own expressions, and cannot be undone.
   *
   * @default false
   */
  linear_regexp?: boolean
  /**
   * A thread that watches the main thread, for code that no check can stop. If a plugin blocks the event loop for more than
   * `limit_ms` (1000), or the process dies while it runs, the plugin is named on stderr and quarantined. Its code then does not
   * run, even after a restart. To run the same code again, delete its file in `quarantine_path` and restart. With `exit`, the
   * process is killed at once, so that its supervisor restarts it (by SIGKILL, because a hanging thread reacts to nothing
   * else).
   *
   * @default none
   * @example { quarantine_path: '/var/lib/app/quarantine', exit: true }
   */
  watchdog?: { quarantine_path: string; limit_ms?: number; exit?: boolean }
  /**
   * Shows in the headers of a response what plugins did to the request, if the request has a valid token in a header
   * (`dynacode-debug` by default). A valid token is one of `tokens`, or is signed by one of `trusted_keys`.
   *
   * @default none: no request is debugged
   * @example { trusted_keys: JSON.parse(readFileSync('debug/trusted-keys.json', 'utf8')) }
   */
  debug_requests?: DebugOptions
}

/** These options with their defaults filled in. */
export type RequestSettings = Readonly<
  Required<Omit<RequestOptions, 'watchdog' | 'debug_requests'>> &
    Pick<RequestOptions, 'debug_requests'> & {
      watchdog?: Required<NonNullable<RequestOptions['watchdog']>> | undefined
    }
>

/** @internal */
export const requestOptions = {
  when_not_loaded: z.enum(['open', 'closed', 'wait']).default('open'),
  when_stale: z.enum(['serve', 'closed']).default('serve'),
  guard: z.enum(['on', 'strict', 'off']).default('on'),
  budget_ms: milliseconds.default(50),
  timeout_ms: milliseconds.default(5000),
  breaker_failures: z.int().nonnegative().default(5),
  linear_regexp: z.boolean().default(false),
  watchdog: z
    .strictObject({
      quarantine_path: filePath,
      limit_ms: milliseconds.default(1000),
      exit: z.boolean().default(false),
    })
    .optional(),
  debug_requests: debugOptionsSchema.optional(),
}
