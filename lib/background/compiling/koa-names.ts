/** Headers that follow the body and the status. */
export const BODY_HEADERS = Object.freeze(['content-type', 'content-length', 'transfer-encoding'])
/** Of these Node notes more than their values: that they were removed, or how the body is sent. */
export const NOTED_HEADERS: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'date',
  'keep-alive',
  'trailer',
  'transfer-encoding',
])

const names = (text: string) => text.split(' ')
const each = (objects: readonly string[], properties: string) =>
  objects.flatMap((object) => names(properties).map((property) => `${object}.${property}`))

/** What can be read of a request and its response, and is no way to change them; the path to it, from `ctx` on. */
export const READABLE: ReadonlySet<string> = new Set([
  ...each(
    ['ctx', 'ctx.request'],
    'header headers url origin href method path query querystring search host hostname URL fresh stale idempotent protocol secure ips ip subdomains type length',
  ),
  ...each(['ctx', 'ctx.response'], 'status message lastModified etag headerSent writable'),
  ...each(['ctx.response'], 'type length'),
  ...each(['ctx'], 'state originalUrl respond'),
  ...each(['ctx.req'], 'method url headers httpVersion httpVersionMajor httpVersionMinor'),
  ...each(['ctx.res'], 'statusCode statusMessage headersSent'),
])

/** Methods that change nothing. */
export const READING: ReadonlySet<string> = new Set([
  ...each(['ctx', 'ctx.request'], 'get is accepts acceptsEncodings acceptsCharsets acceptsLanguages'),
  ...each(['ctx', 'ctx.response'], 'has'),
  ...each(['ctx.res'], 'hasHeader'),
  ...each(['ctx'], 'throw assert'),
  ...each(['store'], 'get set add incr delete'),
])

/** Those of them that throw on purpose. */
export const THROWING: ReadonlySet<string> = new Set(each(['ctx'], 'throw assert'))

/** Methods that change one header, which they are called with. */
export const HEADER_WRITING: ReadonlySet<string> = new Set([
  ...each(['ctx', 'ctx.response'], 'set append remove'),
  ...each(['ctx.res'], 'setHeader appendHeader removeHeader'),
])

/** Methods that change headers which they are not called with. A cookie that is read may be signed anew. */
export const WRITING: ReadonlyMap<string, readonly string[]> = new Map<string, readonly string[]>([
  ...each(['ctx', 'ctx.response'], 'vary').map((path) => [path, ['vary']] as const),
  ...each(['ctx', 'ctx.response'], 'attachment').map(
    (path) => [path, ['content-disposition', 'content-type']] as const,
  ),
  ...each(['ctx', 'ctx.response'], 'redirect').map((path) => [path, ['location', ...BODY_HEADERS]] as const),
  ...each(['ctx.cookies'], 'get set').map((path) => [path, ['set-cookie']] as const),
])

/** What can be assigned to, and the headers that change with it; without any, it is about something else. */
export const WRITABLE: ReadonlyMap<string, readonly string[]> = new Map([
  ...each(['ctx', 'ctx.request'], 'method url path query querystring search').map((path) => [path, []] as const),
  ...each(['ctx.req'], 'method url').map((path) => [path, []] as const),
  ...each(['ctx', 'ctx.response'], 'status').map((path) => [path, BODY_HEADERS] as const),
  ...each(['ctx', 'ctx.response'], 'message').map((path) => [path, []] as const),
  ...each(['ctx', 'ctx.response'], 'type').map((path) => [path, ['content-type']] as const),
  ...each(['ctx', 'ctx.response'], 'length').map((path) => [path, ['content-length']] as const),
  ...each(['ctx', 'ctx.response'], 'etag').map((path) => [path, ['etag']] as const),
  ...each(['ctx', 'ctx.response'], 'lastModified').map((path) => [path, ['last-modified']] as const),
  ...each(['ctx.res'], 'statusCode statusMessage').map((path) => [path, []] as const),
])
/** A body is assigned to these; of one that is a `Response`, any headers may come along. */
export const BODIES: ReadonlySet<string> = new Set(['ctx.body', 'ctx.response.body'])

/** Functions that neither keep nor call what they are given. */
export const PLAIN_FUNCTIONS: ReadonlySet<string> = new Set(
  names(
    'exit log fetch parseInt parseFloat isNaN isFinite encodeURIComponent decodeURIComponent encodeURI decodeURI String Number Boolean BigInt',
  ),
)
export const PLAIN_CONSTRUCTORS: ReadonlySet<string> = new Set(
  names(
    'Date URL URLSearchParams Map Set RegExp Error TypeError RangeError SyntaxError Headers TextEncoder TextDecoder',
  ),
)
/** Methods of the language's namespaces that do neither. */
export const PLAIN_STATICS: ReadonlySet<string> = new Set([
  ...each(['Math'], 'abs ceil floor max min random round sign trunc'),
  ...each(['Object'], 'keys values entries hasOwn fromEntries'),
  ...each(['Array'], 'isArray of'),
  ...each(['Number'], 'isFinite isInteger isNaN isSafeInteger parseFloat parseInt'),
  ...each(['Buffer'], 'byteLength concat from isBuffer'),
  ...each(['JSON'], 'parse stringify'),
  ...each(['Date'], 'now parse UTC'),
])
/** Methods of strings, numbers and lists that do neither. */
export const PLAIN_METHODS: ReadonlySet<string> = new Set(
  names(
    'split trim trimStart trimEnd toLowerCase toUpperCase charAt charCodeAt codePointAt startsWith endsWith includes indexOf lastIndexOf padStart padEnd repeat slice substring at concat join toFixed toString toISOString getTime',
  ),
)
/** Those that call what they are given. */
export const CALLING_METHODS: ReadonlySet<string> = new Set(
  names('map filter some every find findIndex findLast flatMap forEach reduce replace replaceAll'),
)
/** Methods of what the code has made for itself. */
export const OWN_METHODS: ReadonlySet<string> = new Set(names('push add set get has delete append test exec'))

/** Other names in scope that lead to nothing that could be changed. */
export const PLAIN_NAMES: ReadonlySet<string> = new Set(
  names('undefined NaN Infinity params signal chunk last store Math Object Array Number Buffer JSON Date'),
)
