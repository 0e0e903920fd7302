import type { Context } from 'koa'
import { describeValue } from '../validation/schema-error.ts'

/** What of a request and its response plugins can change, in words, by its name. */
export type Snapshot = ReadonlyMap<string, string>

/** Looks at a request as it is now. */
export function takeSnapshot(ctx: Context): Snapshot {
  const entries: [string, unknown][] = [
    ['method', ctx.method],
    ['url', ctx.url],
    ['status', ctx.status],
    ['body', describeBody(ctx.body)],
    ['upstream', describeUpstream(ctx.state.upstream)],
    ...Object.entries(ctx.req.headers).map(([name, value]): [string, unknown] => [`request header ${name}`, value]),
    ...Object.entries(ctx.response.headers).map(([name, value]): [string, unknown] => [`header ${name}`, value]),
  ]
  return new Map(entries.flatMap(([name, value]) => (value === undefined ? [] : [[name, String(value)]])))
}

/** What is different, one change a line: `status: 404 → 200`, `header x-a: none → 1`. */
export function listChanges(before: Snapshot, after: Snapshot): string[] {
  const names = new Set([...before.keys(), ...after.keys()])
  return [...names].flatMap((name) => {
    const [old, now] = [before.get(name), after.get(name)]
    return old === now ? [] : [`${name}: ${old ?? 'none'} → ${now ?? 'none'}`]
  })
}

function describeBody(body: unknown): string | undefined {
  if (body === undefined || body === null) return undefined
  if (typeof body === 'string') return describeValue(body)
  if (body instanceof Uint8Array) return `${body.length} bytes`
  if (typeof (body as { pipe?: unknown }).pipe === 'function') return 'a stream'
  try {
    const json = JSON.stringify(body)
    return json.length > 60 ? `${json.slice(0, 60)}…` : json
  } catch {
    return 'an object'
  }
}

function describeUpstream(upstream: unknown): string | undefined {
  if (upstream === undefined) return undefined
  return typeof upstream === 'object' ? JSON.stringify(upstream) : String(upstream)
}
