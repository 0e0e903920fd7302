import { parse, pathToRegexp } from 'path-to-regexp'
import { decodeUnreserved, listSpellings } from './path-spellings.ts'

/** What of a request its path is read from. */
interface Asked {
  /** Koa has none for an empty URL, such as a plugin may set. */
  readonly path: string | null
  readonly req: { readonly url?: string | undefined }
}

/** One way to take a path. */
interface Spelling {
  readonly path: string
  readonly lower: string
}

/** How the text of a pattern is read: what clients send in place of what is no ASCII. */
const AS_SENT = { encodePath: (text: string) => text.replace(/[^\x21-\x7e]+/gu, encodeURIComponent) }
/** And what has one spelling only in all that a path may be taken for. */
const AS_TAKEN = { encodePath: (text: string) => decodeUnreserved(AS_SENT.encodePath(text)) }

/** The path asked for last: many patterns are held against one path, whose spellings are the same for all of them. */
let last: { readonly url: string; readonly spellings: readonly Spelling[] } = { url: '', spellings: spell('') }

/** The ways in which the path of a request may be taken, as it was sent first. */
export function spellingsOf(ctx: Asked): readonly Spelling[] {
  const url = ctx.req.url ?? ''
  if (url !== last.url) last = { url, spellings: spell(ctx.path ?? '') }
  return last.spellings
}

function spell(path: string): readonly Spelling[] {
  return listSpellings(path).map((each) => ({ path: each, lower: each.toLowerCase() }))
}

/**
 * Reads a pattern as path-to-regexp writes them.
 *
 * @throws TypeError when it is none
 */
export function readPath(pattern: string, reading = AS_TAKEN): RegExp {
  return pathToRegexp(pattern, reading).regexp
}

/**
 * Tells whether the path of a request is one of these; a slash at its end and capital letters make no difference.
 *
 * @param taken how it may be taken for that: in any of the ways there are, in every one of them, or as it was sent
 */
export function createPathTest(
  patterns: readonly string[],
  taken: 'any' | 'every' | 'sent' = 'any',
): (ctx: Asked) => boolean {
  const reading = taken === 'sent' ? AS_SENT : AS_TAKEN
  const wanted = patterns.map((pattern) => ({
    expression: readPath(pattern, reading),
    prefix: prefixOf(pattern, reading),
  }))
  // Most do not even begin alike, which costs a fraction of what the expression does.
  const matches = ({ path, lower }: Spelling) =>
    wanted.some(({ prefix, expression }) => lower.startsWith(prefix) && expression.test(path))
  if (taken === 'sent') return (ctx) => matches(spellingsOf(ctx)[0] as Spelling)
  return taken === 'any' ? (ctx) => spellingsOf(ctx).some(matches) : (ctx) => spellingsOf(ctx).every(matches)
}

/** What every path begins with that matches, in lower case. */
function prefixOf(pattern: string, reading: typeof AS_SENT): string {
  const [first] = parse(pattern, reading).tokens
  return first?.type === 'text' ? first.value.replace(/\/$/, '').toLowerCase() : ''
}

/**
 * All the paths that match, in lower case; undefined when they cannot be listed.
 *
 * @param taken as for `createPathTest`
 */
export function listPaths(patterns: readonly string[], taken: 'any' | 'sent' = 'any'): readonly string[] | undefined {
  const paths: string[] = []
  for (const pattern of patterns) {
    const { tokens } = parse(pattern, taken === 'sent' ? AS_SENT : AS_TAKEN)
    const [first] = tokens
    if (tokens.length !== 1 || first?.type !== 'text') return undefined
    const path = first.value.toLowerCase()
    paths.push(path, `${path}/`)
  }
  return Object.freeze(paths)
}
