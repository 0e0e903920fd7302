import type { EventEmitter } from 'node:events'
import { OptionError } from '../errors.ts'
import { describeValue } from '../validation/schema-error.ts'
import { suggest } from '../validation/suggestion.ts'
import { CALLBACKS } from './table.ts'

const NAMES = Object.freeze(Object.keys(CALLBACKS))
/** Those of the table, and those that every emitter has. */
const KNOWN: ReadonlySet<string> = new Set([...NAMES, 'newListener', 'removeListener', 'error'])

/** Tells, once for each name, that somebody listens for what nobody emits, and what may have been meant. */
export function watchNames(emitter: Pick<EventEmitter, 'on'>, report: (error: OptionError) => void): void {
  const unknown = new Set<unknown>()
  emitter.on('newListener', (name: unknown) => {
    if (typeof name !== 'string' || KNOWN.has(name) || unknown.has(name)) return
    unknown.add(name)
    report(new OptionError('events', `unknown event ${describeValue(name)}${suggest(name, NAMES)}`))
  })
}
