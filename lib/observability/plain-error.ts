/** An error as plain data. Nothing is in it but what is named here: errors of libraries carry whole requests with them. */
export interface PlainError {
  /** The name of its class; of what is no error, its type. */
  readonly type: string
  readonly message: string
  readonly code?: string | number
  readonly stack?: string
  readonly cause?: PlainError
}

/** Longest message and longest stack, in characters. */
const MAX_MESSAGE_LENGTH = 1000
const MAX_STACK_LENGTH = 8000
/** How many causes are followed. */
const MAX_CAUSES = 3

/** Puts whatever was thrown into plain data; never throws. */
export function describeError(thrown: unknown, causes = MAX_CAUSES): PlainError {
  try {
    if (!isError(thrown)) return plain({ type: typeof thrown, message: limitText(String(thrown), MAX_MESSAGE_LENGTH) })
    const { name, message, code, stack, cause } = thrown
    return plain({
      type: limitText(String(name), 100),
      message: limitText(String(message), MAX_MESSAGE_LENGTH),
      ...(typeof code === 'number' ? { code } : typeof code === 'string' ? { code: limitText(code, 100) } : {}),
      ...(typeof stack === 'string' ? { stack: limitText(stack, MAX_STACK_LENGTH) } : {}),
      ...(cause === undefined || causes === 0 ? {} : { cause: describeError(cause, causes - 1) }),
    })
  } catch {
    // A proxy that throws on being looked at, an object without a text.
    return plain({ type: typeof thrown, message: 'what has no text' })
  }
}

/** pino takes what has a message for an error, and its type from the constructor, or else from the name. */
function plain(error: PlainError): PlainError {
  return Object.defineProperties(error, { constructor: { value: undefined }, name: { value: error.type } })
}

/** Errors of other realms are none of this one's class. */
function isError(value: unknown): value is { [K in 'name' | 'message' | 'code' | 'stack' | 'cause']: unknown } {
  return value instanceof Error || typeof (value as { message?: unknown } | null | undefined)?.message === 'string'
}

/** Cuts off what is too long, and shows that it did. */
export function limitText(text: string, max_length: number): string {
  return text.length <= max_length ? text : `${text.slice(0, max_length - 1)}…`
}
