/** What of a path may be taken in another way than it is written; of most paths, nothing. */
const DOUBTFUL = /[%\\;\x80-\xff]|\/[/.]/

/**
 * What servers do to a path before they look for what it names. Some do one of these, some another, so that each counts as
 * done and as not done: URLs have no dot segments (RFC 3986, 5.2.4) and take a backslash for a slash (WHATWG), file servers
 * decode all, nginx merges slashes, and servlet containers drop parameters.
 */
const TAKEN_BY_SOME: readonly ((path: string) => string)[] = [
  (path) => path.replace(/;[^/]*/g, ''),
  (path) => decode(path, /[!-~]/),
  (path) => path.replaceAll('\\', '/'),
  mergeSlashes,
  (path) => mergeSlashes(resolveDots(path)),
]

/**
 * The ways in which an app, or an upstream, may take the path of a request. The first is the path as it was sent; the others
 * have in common that letters, digits and `-._~` are not percent-encoded (RFC 3986, 6.2.2.2).
 *
 * @param path with bytes beyond ASCII as Node has them, each a character
 */
export function listSpellings(path: string): readonly string[] {
  if (!DOUBTFUL.test(path)) return [path]
  const encoded = path.replace(/[\x80-\xff]/g, (byte) => `%${byte.charCodeAt(0).toString(16)}`)
  const found = new Set([decodeUnreserved(encoded)])
  for (const take of TAKEN_BY_SOME) for (const each of [...found]) found.add(take(each))
  found.delete(path)
  return [path, ...found]
}

/** A path or pattern in which what never needs percent-encoding has none (RFC 3986, 6.2.2.2). */
export function decodeUnreserved(path: string): string {
  return decode(path, /[\w.~-]/)
}

/** Only once, as servers do: what `%2541` means is the text `%41`. */
function decode(path: string, wanted: RegExp): string {
  if (!path.includes('%')) return path
  return path.replace(/%[0-7][\da-f]/gi, (encoded) => {
    const character = String.fromCharCode(Number.parseInt(encoded.slice(1), 16))
    return wanted.test(character) ? character : encoded
  })
}

function mergeSlashes(path: string): string {
  return path.replace(/\/{2,}/g, '/')
}

function resolveDots(path: string): string {
  if (!path.includes('/.')) return path
  const kept: string[] = []
  const segments = path.split('/')
  for (const segment of segments) {
    if (segment === '..') kept.length = Math.max(kept.length - 1, 1)
    else if (segment !== '.') kept.push(segment)
  }
  const last = segments.at(-1)
  if (last === '.' || last === '..') kept.push('')
  return kept.join('/')
}
