import { formatWithOptions } from 'node:util'
import createDebug from 'debug'
import * as z from 'zod'
import type { DynacodeEmitter } from '../../events/emitter.ts'
import { CALLBACKS, type EventName, type EventTable, type PluginInfo } from '../../events/table.ts'
import { limitText } from '../plain-error.ts'
import { createLogLimit } from './limit.ts'
import { describeLine, isLogged, type Level, type LogFields } from './line.ts'

const debug = createDebug('dynacode:logger')

/**
 * A logger with the methods of pino. Each method is called with an object of plain data and a message, and with the logger as
 * its `this`. Errors of a logger are ignored.
 */
export interface Logger {
  debug(fields: LogFields, message: string): unknown
  info(fields: LogFields, message: string): unknown
  warn(fields: LogFields, message: string): unknown
  error(fields: LogFields, message: string): unknown
  /** Optional: whether lines of a level are written. Lines that are not written are not created. */
  isLevelEnabled?(level: string): boolean
}

const LOG_METHODS = ['debug', 'info', 'warn', 'error'] as const

/**
 * A logger that has all the methods.
 *
 * @internal
 */
export const loggerOption = z
  .custom<Logger>((value) => (typeof value === 'object' && value !== null) || typeof value === 'function', 'an object')
  .superRefine((logger, context) => {
    const missing = LOG_METHODS.find((method) => typeof logger[method] !== 'function')
    if (missing === undefined) return
    context.addIssue({ code: 'custom', path: [missing], message: 'a method, as pino has it' })
  })

/** Writes the log of one instance. */
export interface Logging {
  /** Writes what a plugin said with `log(...)`. */
  say(plugin: PluginInfo, message: readonly unknown[]): void
  close(): void
}

/** Longest message of a plugin's, in characters. */
const MAX_MESSAGE_LENGTH = 2000
/** How deep the values are shown that a plugin logs, and how much of them. */
const SHOWN = {
  depth: 3,
  maxArrayLength: 50,
  maxStringLength: MAX_MESSAGE_LENGTH,
  breakLength: Number.POSITIVE_INFINITY,
}

/** Writes every event that comes from now on, but those of each single run. */
export function startLogging(logger: Logger, emitter: DynacodeEmitter): Logging {
  const limit = createLogLimit()
  let closed = false

  function write(level: Level, fields: LogFields, message: string): void {
    const written = logger[level](fields, message) as PromiseLike<unknown> | undefined
    if (typeof written?.then === 'function') Promise.resolve(written).catch(failed)
  }

  /** A log that does not work cannot be reported in the log; nor may it become an event, which would be logged again. */
  function failed(error: unknown): void {
    debug('the logger failed: %O', error)
  }

  function attempt(action: () => void): void {
    if (closed) return
    try {
      action()
    } catch (error) {
      failed(error)
    }
  }

  const isWanted = (level: Level) => typeof logger.isLevelEnabled !== 'function' || logger.isLevelEnabled(level)

  function log<N extends EventName>(name: N, payload: EventTable[N]): void {
    const { plugin } = payload as { plugin?: PluginInfo }
    const line = describeLine(name, payload)
    if (line === undefined || !isWanted(line.level)) return
    const suppressed = limit.admit(name, plugin)
    if (suppressed === undefined) return
    const fields = { event: name, ...line.fields(), ...(suppressed === 0 ? {} : { suppressed }) }
    write(line.level, fields, line.message)
  }

  for (const name of Object.keys(CALLBACKS) as EventName[]) {
    if (isLogged(name))
      emitter.on(name, ((payload: EventTable[typeof name]) => attempt(() => log(name, payload))) as never)
  }

  return Object.freeze({
    say(info, message) {
      attempt(() => {
        if (!isWanted('info')) return
        const suppressed = limit.admit('log', info)
        if (suppressed === undefined) return
        const { name: plugin, domain, phase } = info
        const fields = { event: 'log', plugin, domain, phase, ...(suppressed === 0 ? {} : { suppressed }) }
        write('info', fields, limitText(formatWithOptions(SHOWN, ...message), MAX_MESSAGE_LENGTH))
      })
    },
    close() {
      closed = true
    },
  } satisfies Logging)
}
