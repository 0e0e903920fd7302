import { isIPv6 } from 'node:net'

/** What a domain's name (or an entry of `skip_domains`) means, once read. */
export type HostPattern =
  | { readonly kind: 'any' }
  | { readonly kind: 'literal'; readonly host: string }
  | { readonly kind: 'suffix'; readonly suffix: string }
  | { readonly kind: 'expression'; readonly expression: RegExp }

const LITERAL = /^[\w.-]+$/
const WILDCARD = /^\*\.[\w.-]+$/

/**
 * Reads a host pattern: `*` is every host; a name of letters, digits, `-`, `_` and `.` is that host; `*.a.com` is every
 * subdomain of a.com; `[::1]` is that address; anything else is a regular expression, searched in the host.
 *
 * @throws SyntaxError when it is a broken regular expression
 */
export function readHostPattern(name: string): HostPattern {
  if (name === '*') return { kind: 'any' }
  if (LITERAL.test(name)) return { kind: 'literal', host: normalizeHost(name) }
  if (WILDCARD.test(name)) return { kind: 'suffix', suffix: normalizeHost(name.slice(1)) }
  // As an expression `[::1]` would be a class of three characters and match every host with a 1 in it.
  const bracketed = /^\[(.*)\]$/.exec(name)?.[1]
  if (bracketed !== undefined && isIPv6(bracketed)) {
    return { kind: 'literal', host: new URL(`http://${name}`).hostname }
  }
  return { kind: 'expression', expression: new RegExp(name) }
}

/** Whether two patterns match the same hosts, for being the same. */
export function isSamePattern(a: HostPattern, b: HostPattern): boolean {
  return a.kind === b.kind && textOf(a) === textOf(b)
}

function textOf(pattern: HostPattern): string {
  if (pattern.kind === 'any') return '*'
  if (pattern.kind === 'literal') return pattern.host
  return pattern.kind === 'suffix' ? pattern.suffix : pattern.expression.source
}

/** A name that has one spelling but for capitals. One that ends in a number is an IPv4 address (WHATWG URL), however written. */
const PLAIN = /^(?!(?:.*\.)?(?:\d+|0x[\da-f]*)\.?$)[\w.-]*$/
/** No name in DNS is longer than 255, nor with every character percent-encoded than this. */
const LONGEST_SPELLED = 1024

/**
 * One spelling for all that mean the same host: lower case, without the dot that ends a fully qualified name, and as URLs
 * have it (WHATWG) where it has percent-encoding, other scripts, or an IP address written in another way.
 */
export function normalizeHost(hostname: string): string {
  const lower = hostname.toLowerCase()
  const host = PLAIN.test(lower) || lower.length > LONGEST_SPELLED ? lower : spell(lower)
  return host.endsWith('.') ? host.slice(0, -1) : host
}

function spell(host: string): string {
  try {
    return new URL(`http://${host}`).hostname
  } catch {
    // No URL can have it: it stays what it is.
    return host
  }
}
