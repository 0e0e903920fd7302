import type { Context } from 'koa'
import { createHostMemory } from './host-memory.ts'
import { normalizeHost } from './host-pattern.ts'

/** A target in absolute form (RFC 9112, 3.2.2), read as WHATWG URLs are: what stands between its scheme and its path. */
const ABSOLUTE = /^[a-z][a-z\d+.-]*:[/\\]{2,}([^/\\?#]+)/i
const SLASH = 47

/** A longer one is read each time rather than remembered. */
const LONGEST_REMEMBERED = 256
/** A host with these in it is cut, how depends on where it comes from: nothing to remember anything under. */
const AMBIGUOUS = /[,@]/

/**
 * What of a request its host is read from: what a trusted proxy says (`X-Forwarded-Host`), else its target where that is in
 * absolute form, else `:authority` or the Host header. To read the host itself costs several times any look-up by this.
 */
export function authorityOf(ctx: Context): string {
  const { req } = ctx
  if (isForwarded(ctx)) return ctx.host
  return targetAuthorityOf(ctx) ?? (req.httpVersionMajor >= 2 ? ctx.host : req.headers.host) ?? ''
}

/** Whether what is known of the host may be remembered under its authority. */
export function isMemorable(authority: string): boolean {
  return authority.length <= LONGEST_REMEMBERED && !AMBIGUOUS.test(authority)
}

/** The host that a request is for, as plugins are matched and events report it: lower case, no port, one spelling of each. */
export function hostOf(ctx: Context): string {
  const target = isForwarded(ctx) ? undefined : targetAuthorityOf(ctx)
  return normalizeHost(target === undefined ? ctx.hostname : hostnameOf(target))
}

/** The same from what `authorityOf` has read, when the request itself is gone. */
export function hostOfAuthority(authority: string): string {
  return normalizeHost(hostnameOf(authority))
}

/** Makes what does the same at less cost: to read a host takes longer than all else that an event has. */
export function createHostReader(): (ctx: Context) => string {
  const memory = createHostMemory<string>()
  return (ctx) => {
    const authority = authorityOf(ctx)
    const known = memory.get(authority)
    if (known !== undefined) return known
    const host = hostOf(ctx)
    if (isMemorable(authority)) memory.offer(authority, host)
    return host
  }
}

/**
 * Another host that an app may take the request to be for: the Host header's, which counts for nothing beside an absolute
 * target (RFC 9112, 3.2.2) or `:authority` (RFC 9113, 8.3.1). Undefined for nearly every request.
 */
export function otherHostOf(ctx: Context): string | undefined {
  const { req } = ctx
  // Nearly every request is over by now: it names its host but once.
  if (req.httpVersionMajor < 2 && targetAuthorityOf(ctx) === undefined) return undefined
  const { headers } = req
  const isTwofold = req.httpVersionMajor >= 2 && headers.host !== undefined && headers.host !== headers[':authority']
  if ((!isTwofold && targetAuthorityOf(ctx) === undefined) || isForwarded(ctx)) return undefined
  const host = hostOf(ctx)
  const others = [ctx.hostname, hostnameOf(headers.host ?? '')]
  return others.map(normalizeHost).find((other) => other !== host)
}

/** Puts the host that a request is for where apps look for one, so that they take it to be for no other. */
export function settleHost({ req }: Context, authority: string): void {
  const { headers, rawHeaders } = req
  const settled = authority.slice(authority.lastIndexOf('@') + 1)
  for (const name of ['host', ':authority']) {
    if (name === 'host' || headers[name] !== undefined) headers[name] = settled
    for (let index = 0; index < rawHeaders.length; index += 2) {
      if (rawHeaders[index]?.toLowerCase() === name) rawHeaders[index + 1] = settled
    }
  }
}

function isForwarded(ctx: Context): boolean {
  return ctx.app?.proxy === true && ctx.get('X-Forwarded-Host') !== ''
}

function targetAuthorityOf({ originalUrl }: Context): string | undefined {
  // Nearly every target is a path.
  if (originalUrl === undefined || originalUrl.charCodeAt(0) === SLASH) return undefined
  return ABSOLUTE.exec(originalUrl)?.[1]
}

/** The host of an authority, without user and port; none where brackets hold no IPv6 address, as Koa has it. */
function hostnameOf(authority: string): string {
  const host = authority.slice(authority.lastIndexOf('@') + 1)
  if (!host.startsWith('[')) return host.split(':', 1)[0] as string
  return URL.canParse(`http://${host}`) ? new URL(`http://${host}`).hostname : ''
}
