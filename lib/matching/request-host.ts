import type { Context } from 'koa'
import { isMemorable, readHostHeader } from './host-header.ts'
import { createHostMemory } from './host-memory.ts'
import { normalizeHost } from './host-pattern.ts'

/** The request's host as plugins are matched and events told: lower case, no port. */
export function hostOf(ctx: Context): string {
  return normalizeHost(ctx.hostname)
}

/** Makes what does the same at less cost: Koa's own reading of the host takes longer than all else that an event tells. */
export function createHostReader(): (ctx: Context) => string {
  const memory = createHostMemory<string>()
  return (ctx) => {
    const header = readHostHeader(ctx)
    const known = memory.get(header)
    if (known !== undefined) return known
    const host = hostOf(ctx)
    if (isMemorable(header)) memory.offer(header, host)
    return host
  }
}
