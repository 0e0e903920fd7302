import type { Refresh } from '../background/refresh.ts'
import { DocumentError } from '../errors.ts'
import { describeValue } from '../validation/schema-error.ts'
import type { RecordedEvent } from './recorder.ts'

/**
 * Throws what was wrong with a document, or with any part of it.
 *
 * @param events what the refresh has emitted
 */
export function throwRefusals(refreshed: Refresh, events: readonly RecordedEvent[]): void {
  if (!refreshed.updated && refreshed.reason !== 'unchanged') throw refreshed.error
  const errors = events.flatMap(({ name, payload }) => {
    if (name === 'bg_compile_error') return [nameIn(payload.error, payload.plugin.name)]
    return name === 'on_error' && payload.section === 'document' ? [payload.error] : []
  })
  if (errors.length === 0) return
  if (errors.length === 1) throw errors[0]
  const lines = errors.map((error) => `\n- ${(error as Error).message}`)
  throw new AggregateError(errors, `${errors.length} plugins or domains are refused:${lines.join('')}`)
}

/** A fault of the document says where it is; whose it is, is said here. */
function nameIn(error: Error, plugin: string): Error {
  if (!(error instanceof DocumentError)) return error
  const said = error.message.slice(error.path === '' ? 0 : error.path.length + 2)
  return new DocumentError(error.path, `${said} (plugin ${describeValue(plugin)})`, { cause: error })
}
