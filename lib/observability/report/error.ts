import { DocumentError, DynacodeError } from '../../errors.ts'
import { limitText } from '../plain-error.ts'

/** An error, without its stack. */
export interface ReportedError {
  readonly code: string
  readonly message: string
  /** JSON path in the document; null where the fault has none. */
  readonly path: string | null
}

/** Characters of any text in a report. */
export const MAX_TEXT_LENGTH = 300

/** Puts an error into a report. */
export function reportError(error: Error): ReportedError {
  const code = error instanceof DynacodeError ? error.code : 'ERR_DYNACODE_FETCH'
  const path = error instanceof DocumentError ? limitText(error.path, MAX_TEXT_LENGTH) : null
  return { code, message: limitText(error.message, MAX_TEXT_LENGTH), path }
}
