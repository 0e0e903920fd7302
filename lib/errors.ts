/** Options shared by every error of dynacode. */
interface Details {
  /** The error that led to this one. */
  cause?: unknown
}

/**
 * The base class of all errors of dynacode. Distinguish errors by `code`, which is stable across versions; messages are for
 * people and may change.
 */
export class DynacodeError extends Error {
  /** Stable name of the error; docs/errors.md lists all of them. */
  readonly code: ErrorCode

  constructor(code: ErrorCode, message: string, details: Details = {}) {
    super(message, 'cause' in details ? { cause: details.cause } : {})
    this.name = new.target.name
    this.code = code
  }
}

/** An option is missing, wrong or unknown (thrown by `dynacode(options)` itself), or an argument is (`ready`). */
export class OptionError extends DynacodeError {
  /** The option's name, with the path inside it if there is one (`plugin_api_headers.accept`). */
  readonly option: string

  constructor(option: string, message: string, details?: Details) {
    super('ERR_DYNACODE_OPTION', message, details)
    this.option = option
  }
}

/** Part of the document is invalid; docs/document.md describes the format. */
export class DocumentError extends DynacodeError {
  /** Position in the document, such as `domains[0].plugins[2].phase`. */
  readonly path: string

  constructor(path: string, message: string, details?: Details) {
    super('ERR_DYNACODE_DOCUMENT', path === '' ? message : `${path}: ${message}`, details)
    this.path = path
  }
}

/** A plugin's code is not valid JavaScript for the body of a function. */
export class CompileError extends DynacodeError {
  /** The plugin's name. */
  readonly plugin: string
  /** Line in the plugin's own code, from 1; undefined if the error has no position. */
  readonly line: number | undefined
  /** Column in that line, from 1. */
  readonly column: number | undefined

  constructor(
    plugin: string,
    message: string,
    place: { line?: number | undefined; column?: number | undefined },
    details?: Details,
  ) {
    const where =
      place.line === undefined ? '' : `:${place.line}${place.column === undefined ? '' : `:${place.column}`}`
    super('ERR_DYNACODE_COMPILE', `plugin ${JSON.stringify(plugin)}${where}: ${message}`, details)
    this.plugin = plugin
    this.line = place.line
    this.column = place.column
  }
}

/** Where in the plugin's code the parser stumbled, and over what. Lines and columns count from 1. */
export class ParseFault extends Error {
  readonly line: number | undefined
  readonly column: number | undefined

  constructor(message: string, line?: number, column?: number) {
    super(message)
    this.line = line
    this.column = column
  }
}

/** Every stable error code. */
export const ERROR_CODES = Object.freeze([
  'ERR_DYNACODE_OPTION',
  'ERR_DYNACODE_DOCUMENT',
  'ERR_DYNACODE_COMPILE',
  'ERR_DYNACODE_FETCH',
  'ERR_DYNACODE_FETCH_STATUS',
  'ERR_DYNACODE_FETCH_TIMEOUT',
  'ERR_DYNACODE_FETCH_TOO_LARGE',
  'ERR_DYNACODE_FETCH_CONTENT',
  'ERR_DYNACODE_CACHE',
  'ERR_DYNACODE_REPORT',
  'ERR_DYNACODE_HELD',
  'ERR_DYNACODE_UNIT',
  'ERR_DYNACODE_SIGNATURE',
  'ERR_DYNACODE_VERSION',
  'ERR_DYNACODE_EXPIRED',
  'ERR_DYNACODE_EXIT',
  'ERR_DYNACODE_BODY',
  'ERR_DYNACODE_RESPONSE',
  'ERR_DYNACODE_ABORTED',
  'ERR_DYNACODE_TIMEOUT',
  'ERR_DYNACODE_BUDGET',
  'ERR_DYNACODE_QUARANTINED',
  'ERR_DYNACODE_STRICT',
  'ERR_DYNACODE_NOT_READY',
  'ERR_DYNACODE_CLOSED',
] as const)

/** One of the stable error codes. */
export type ErrorCode = (typeof ERROR_CODES)[number]
/** The message of what was thrown, on one line. */
export function messageOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error)
  const inner = error instanceof Error && error.cause instanceof Error ? error.cause : undefined
  // What undici throws says why only in its cause.
  const text = message === 'fetch failed' && inner !== undefined ? inner.message || String(inner.name) : message
  return text.replace(/\s*\n\s*/g, ' ')
}
