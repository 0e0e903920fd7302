import { chunkName } from '../../background/compiling/compiled-text.ts'
import type { Activated } from '../../background/preparation.ts'
import { CompileError, DynacodeError, type ErrorCode } from '../../errors.ts'
import { type DynacodeEmitter, ownListener } from '../../events/emitter.ts'
import type { Payload, PluginInfo } from '../../events/table.ts'
import { describeError, limitText } from '../plain-error.ts'
import type { Tally } from '../tally.ts'
import { MAX_TEXT_LENGTH } from './error.ts'
import { keepKnownWords } from './known-words.ts'

/** The last error of a plugin. Nothing in it comes from a request. */
export interface LastError {
  /** When it was; of several within a second, the time of the first. */
  readonly at: number
  /** Of an error of dynacode: `ERR_DYNACODE_BUDGET` for a run that took too long. Otherwise null. */
  readonly code: ErrorCode | null
  /** At most 300 characters. Words that neither the plugin's code nor messages of Node.js have are `…`. */
  readonly message: string
  /** Where in the plugin's code, from 1; null if the error does not say. */
  readonly line: number | null
  readonly column: number | null
  /** `open`: the request went on without the plugin; `closed`: it got 503. */
  readonly outcome: 'open' | 'closed'
}

/** Remembers the last error of each plugin. */
export interface LastErrors {
  /** When the plugin last failed, in milliseconds since 1970; 0 if it never did. */
  timeOf(tally: Tally): number
  /** What to report of it. The live document has the code whose words may be told. */
  describe(tally: Tally, activated: Activated | null): LastError | null
}

/** An error that keeps coming is looked at so often, in milliseconds: a plugin may fail for every request. */
const LOOK_EVERY_MS = 1000

interface Seen extends LastError {
  /** Whether its message may hold what a request has sent. */
  readonly is_foreign: boolean
  readonly plugin: PluginInfo
}

/** Errors of dynacode's own that quote what a plugin gave them. */
const QUOTING: readonly ErrorCode[] = ['ERR_DYNACODE_EXIT', 'ERR_DYNACODE_RESPONSE', 'ERR_DYNACODE_BODY']

/** @param max plugins whose errors are remembered; the one whose error is oldest makes room */
export function createLastErrors(emitter: DynacodeEmitter, max: number): LastErrors {
  const seen = new Map<string, Seen>()
  emitter.on(
    'rt_plugins_error',
    ownListener((failed: Payload<'rt_plugins_error'>) => {
      const key = keyOf(failed.plugin.domain, failed.plugin.name, failed.phase)
      const before = seen.get(key)
      const is_same = before?.plugin === failed.plugin && before.outcome === failed.outcome
      if (is_same && failed.at >= before.at && failed.at - before.at < LOOK_EVERY_MS) return
      // A map keeps the order in which its keys came.
      seen.delete(key)
      if (seen.size >= max) seen.delete(seen.keys().next().value as string)
      seen.set(key, look(failed))
    }),
  )
  const find = ({ domain, name, phase }: Tally) => seen.get(keyOf(domain, name, phase))

  return Object.freeze({
    timeOf: (tally) => find(tally)?.at ?? 0,
    describe(tally, activated) {
      const found = find(tally)
      if (found === undefined) return null
      const { is_foreign, plugin, message, ...rest } = found
      if (!is_foreign) return { ...rest, message }
      const live = activated?.build.program.plugins.find(({ info }) => info === plugin)
      return { ...rest, message: keepKnownWords(message, live?.spec.code) }
    },
  } satisfies LastErrors)
}

const keyOf = (domain: string, name: string, phase: string) => JSON.stringify([domain, name, phase])

/** Takes what is needed of an error, and not the error: a whole request may hang on it. */
function look({ plugin, error, outcome, at }: Payload<'rt_plugins_error'>): Seen {
  const { type, message, stack = '' } = describeError(error, 0)
  const own = error instanceof DynacodeError ? error.code : null
  const { line = null, column = null } =
    error instanceof CompileError ? error : placeIn(stack.split(`${chunkName(plugin.name)}:`)[1])
  return {
    at,
    code: own,
    message: limitText(own === null ? `${type}: ${message}` : message, MAX_TEXT_LENGTH),
    line,
    column,
    outcome,
    is_foreign: own === null || QUOTING.includes(own),
    plugin,
  }
}

function placeIn(frame = ''): { readonly line?: number; readonly column?: number } {
  const [, line, column] = /^(\d+):(\d+)/.exec(frame) ?? []
  return line === undefined ? {} : { line: Number(line), column: Number(column) }
}
