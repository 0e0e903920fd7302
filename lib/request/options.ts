import * as z from 'zod'
import type { GuardMode } from '../document.ts'
import { filePath, milliseconds } from '../validation/shapes.ts'
import { type DebugOptions, debugOptionsSchema } from './debug/options.ts'

/** What requests get, and how plugins are kept from harming the app. */
export interface RequestOptions {
  /**
   * What a request gets before the first document is live: `open`: the app, without plugins; `closed`: 503; `wait`: it
   * waits for the document, at most `plugin_api_timeout` seconds, and gets 503 after that.
   *
   * @default 'open'
   */
  when_not_loaded?: 'open' | 'closed' | 'wait'
  /**
   * What requests get when the live document is stale, or past its own `general.expires`: `serve`: as before; `closed`:
   * 503.
   *
   * @default 'serve'
   */
  when_stale?: 'serve' | 'closed'
  /**
   * How plugins are kept from harming the app, unless the document says otherwise for one: `on`: checks inside their code
   * stop whatever takes too long; `strict`: besides, V8 ends what has no place for a check (some 10 µs a run); `off`:
   * nothing does.
   *
   * @default 'on'
   */
  guard?: GuardMode
  /**
   * How long a plugin may keep the event loop in one of its turns, in milliseconds.
   *
   * @default 50
   */
  budget_ms?: number
  /**
   * How long an asynchronous run of a plugin may take in all, in milliseconds.
   *
   * @default 5000
   */
  timeout_ms?: number
  /**
   * After how many failures in a row, or overruns within a minute, a plugin is not run for a while. 0: never.
   *
   * @default 5
   */
  breaker_failures?: number
  /**
   * Whether V8 may give up on regular expressions that backtrack too much, and run them in linear time. A setting of the
   * whole process, the app's own expressions included, and never taken back.
   *
   * @default false
   */
  linear_regexp?: boolean
  /**
   * A thread that watches the main one, for what no check inside the code can stop. A plugin that keeps the event loop
   * for more than `limit_ms` (1000) is named on stderr and put into quarantine: a file in the folder `quarantine_path`,
   * which keeps its code from running, after a restart too, until the code changes or somebody deletes the file. So is a
   * plugin in whose midst the process died. With `exit`, the process is killed on the spot (SIGKILL: a thread that hangs
   * hears nothing else), for its supervisor to start it anew.
   *
   * @default none
   * @example { quarantine_path: '/var/lib/app/quarantine', exit: true }
   */
  watchdog?: { quarantine_path: string; limit_ms?: number; exit?: boolean }
  /**
   * Who may see what plugins did to their own requests, in the headers of the response. A request asks by a header,
   * `dynacode-debug` unless `header` says otherwise, with one of `tokens` or a token that one of `trusted_keys` has signed.
   *
   * @default none: nobody
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
