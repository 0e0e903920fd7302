import { parse, pathToRegexp } from 'path-to-regexp'

/** What of a request its path is read from. */
interface Asked {
  /** Koa has none for an empty URL, such as a plugin may set. */
  readonly path: string | null
  readonly req: { readonly url?: string | undefined }
}

/** What clients send in place of what is no ASCII. */
const encodePath = (text: string) => text.replace(/[^\x21-\x7e]+/gu, encodeURIComponent)

/** The path asked for last: many patterns are held against one path, whose lower case is the same for all of them. */
let last = { url: '', path: '', lower: '' }

/** The path of a request in lower case. */
export function lowerPathOf(ctx: Asked): string {
  const url = ctx.req.url ?? ''
  if (url !== last.url) {
    const path = ctx.path ?? ''
    last = { url, path, lower: path.toLowerCase() }
  }
  return last.lower
}

/**
 * Reads a pattern as path-to-regexp writes them.
 *
 * @throws TypeError when it is none
 */
export function readPath(pattern: string): RegExp {
  return pathToRegexp(pattern, { encodePath }).regexp
}

/** Tells whether the path of a request is one of these; a slash at its end and capital letters make no difference. */
export function createPathTest(patterns: readonly string[]): (ctx: Asked) => boolean {
  const wanted = patterns.map((pattern) => ({ expression: readPath(pattern), prefix: prefixOf(pattern) }))
  return (ctx) => {
    const lower = lowerPathOf(ctx)
    for (const { prefix, expression } of wanted) {
      // Most do not even begin alike, which costs a fraction of what the expression does.
      if (lower.startsWith(prefix) && expression.test(last.path)) return true
    }
    return false
  }
}

/** What every path begins with that matches, in lower case. */
function prefixOf(pattern: string): string {
  const [first] = parse(pattern, { encodePath }).tokens
  return first?.type === 'text' ? first.value.replace(/\/$/, '').toLowerCase() : ''
}

/** All the paths that match, in lower case; undefined when they cannot be listed. */
export function listPaths(patterns: readonly string[]): readonly string[] | undefined {
  const paths: string[] = []
  for (const pattern of patterns) {
    const { tokens } = parse(pattern, { encodePath })
    const [first] = tokens
    if (tokens.length !== 1 || first?.type !== 'text') return undefined
    const path = first.value.toLowerCase()
    paths.push(path, `${path}/`)
  }
  return Object.freeze(paths)
}
