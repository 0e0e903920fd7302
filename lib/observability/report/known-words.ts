/**
 * Words of the messages that V8, Node.js and undici write themselves. What else stands in a message may come from a
 * request: a name, a token, text that is no JSON.
 */
const USUAL = new Set(
  `Error TypeError RangeError ReferenceError SyntaxError URIError EvalError AggregateError DOMException AbortError
  TimeoutError DynacodeError CompileError DocumentError Cannot Invalid Unexpected Expected Maximum Missing Assignment Access
  Failed Reduce Division Duplicate Illegal Unterminated Bad Class Derived Must Private Super The This That Object Array
  String Number Function Symbol BigInt Boolean Promise Proxy Map Set WeakMap WeakSet WeakRef Date RegExp JSON Math Intl URL
  Headers Request Response Buffer Iterator Generator ArrayBuffer DataView TypedArray Node undefined null true false NaN
  Infinity read set reading setting property properties of is not a an the to in on at by for from with without and or as be
  no non it its has have had been was were can could must may only already before after initialized initialization
  initializer defined declared declaration constant variable assignment function constructor constructors iterable iterator
  iterate iterated object objects array arrays string number numbers symbol symbols value values key keys index length size
  type types instance instanceof argument arguments parameter parameters callable extensible configurable writable frozen
  sealed add delete redefine define convert converted primitive mix other use explicit conversions exceeded call called calls
  stack depth out range bounds memory invalid valid token tokens end input position line column character escape sequence
  unexpected expected expression regular flags flag group nothing repeat unterminated malformed URI date time zone precision
  digits radix between count buffer allocation failed fetch request response body network socket connect connection closed
  close reset refused timeout timed aborted abort operation this name header headers content port protocol scheme address
  host getaddrinfo unable verify certificate self signed expired error errors throw threw thrown rejected promise resolve
  reduce empty initial large small too long many few circular structure JSON starting closing circle super class private
  field member static method getter setter accessor prototype cyclic proto target proxy trap returned return yield await
  async generator running finished state stream streams destroyed premature write written code codes exit status body
  ECONNREFUSED ECONNRESET ENOTFOUND ETIMEDOUT EPIPE EAI_AGAIN EHOSTUNREACH ENETUNREACH EMFILE ENOENT EACCES UND_ERR_SOCKET
  UND_ERR_CONNECT_TIMEOUT UND_ERR_HEADERS_TIMEOUT UND_ERR_BODY_TIMEOUT`.split(/\s+/),
)

/** Everything but spaces and ASCII punctuation. */
const WORD = /[^\s!-#%-/:-@[-^`{-~]+/g
const UNKNOWN = '…'

/**
 * Leaves of a message the words that its plugin's code has as well, and those of the usual messages of the engine: these
 * say nothing of a request. Each other word becomes `…`.
 *
 * @param code undefined where it is not known any more
 */
export function keepKnownWords(message: string, code: string | undefined): string {
  const own = new Set(code?.match(WORD))
  const masked = message.replace(WORD, (word) => (own.has(word) || USUAL.has(word) ? word : UNKNOWN))
  return masked.replace(/…(?:[^\w…]{0,3}…)+/g, UNKNOWN)
}
