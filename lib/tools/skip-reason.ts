import type { Context } from 'koa'
import type { Document, Domain, PluginSpec } from '../document.ts'
import { createPredicate } from '../matching/condition.ts'
import type { HostPattern } from '../matching/host-pattern.ts'
import { isDrawn } from '../matching/request-key.ts'
import { createShare, percentAt } from '../matching/rollout.ts'

/** Why no plugin of a domain runs for a host; undefined when they may. */
export function whyNotDomain({ enabled, skip }: Document, { pattern, name }: Domain, host: string): string | undefined {
  if (!enabled) return 'the document is disabled (general.status)'
  if (skip.some((each) => matches(each, host))) return `the host ${host} is among skip_domains`
  return matches(pattern, host) ? undefined : `the host ${host} does not match ${name}`
}

function matches(pattern: HostPattern, host: string): boolean {
  if (pattern.kind === 'any') return true
  if (pattern.kind === 'literal') return pattern.host === host
  if (pattern.kind === 'expression') return pattern.expression.test(host)
  return host.length > pattern.suffix.length && host.endsWith(pattern.suffix)
}

/** Why a plugin is not for a request as it is now; undefined when it is. */
export function whyNotPlugin({ scope, name }: PluginSpec, ctx: Context, now: number): string | undefined {
  const { enabled, starts_at, expires_at, when, share } = scope
  if (!enabled) return 'it is disabled'
  if (starts_at !== undefined && now < starts_at) return `it starts at ${new Date(starts_at).toISOString()}`
  if (expires_at !== undefined && now >= expires_at) return `it expired at ${new Date(expires_at).toISOString()}`
  const { not, ...wanted } = when ?? {}
  for (const [key, value] of Object.entries(wanted)) {
    if (!createPredicate({ [key]: value })(ctx)) return `when.${key} does not hold: ${JSON.stringify(value)}`
  }
  for (const [key, value] of Object.entries(not ?? {})) {
    if (!createPredicate({ not: { [key]: value } })(ctx)) return `when.not.${key} holds: ${JSON.stringify(value)}`
  }
  // By chance, another draw would tell nothing of the one that counted.
  if (share === undefined || isDrawn(share.by, ctx)) return undefined
  if (
    createShare(
      share,
      () => '',
      null,
      () => now,
    )(ctx)
  )
    return undefined
  const percent = percentAt(share, now)
  const part = share.from === 0 ? `${percent} percent` : `the percentages from ${share.from} to ${share.to}`
  return `its rollout by ${[share.by].flat().join(', else ')} is for ${part}, and this request is outside (${name})`
}
