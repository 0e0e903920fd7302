import { STATUS_CODES } from 'node:http'
import { types } from 'node:util'
import type { Context } from 'koa'
import { attempt } from './attempt.ts'
import { parsedBody } from './context.ts'
import { isData, writeData } from './data.ts'

export type Description = ReadonlyMap<string, unknown>

/** Everything of a context that a plugin may change, by the name under which a change is reported. */
export function describe(ctx: Context): Description {
  const { req, res, method, url, status, state, body } = ctx
  const parts: [string, unknown][] = [
    ['method', method],
    ['url', url],
    ['status', status],
    ['message', res.headersSent || res.statusMessage === STATUS_CODES[status] ? undefined : res.statusMessage],
    ['respond', ctx.respond],
    ['request body', snapshot(parsedBody(ctx.request), writeData)],
    // Koa sends as much of it as JSON says.
    ['body', snapshot(body, JSON.stringify)],
    ['sent', res.writableEnded],
  ]
  for (const [name, value] of Object.entries(req.headers)) parts.push([`request header ${name}`, String(value)])
  for (const [name, value] of Object.entries(res.getHeaders())) parts.push([`header ${name}`, String(value)])
  for (const [name, value] of Object.entries(state)) parts.push([`state ${name}`, snapshot(value, writeData)])
  return new Map(parts)
}

/** What is written of a value that may be changed in place; of all else, the value itself. */
function snapshot(value: unknown, write: (data: object) => string): unknown {
  if (types.isUint8Array(value)) return Buffer.from(value)
  return isData(value) ? (attempt(() => write(value)) ?? value) : value
}

/** What has changed between two descriptions, in words. */
export function compare(before: Description, after: Description): string[] {
  const names = new Set([...before.keys(), ...after.keys()])
  const changed = [...names].filter((name) => !isSame(before.get(name), after.get(name)))
  return changed.map((name) => attempt(() => tell(name, before, after)) ?? name)
}

function isSame(was: unknown, is: unknown): boolean {
  return Buffer.isBuffer(was) && Buffer.isBuffer(is) ? was.equals(is) : was === is
}

function tell(name: string, before: Description, after: Description): string {
  const [was, is] = [before.get(name), after.get(name)]
  if (name === 'sent') return 'sent a response of its own'
  if (name === 'body') return describeBody(was, is)
  // As of the response's body: what users have sent is for nobody's log.
  if (name === 'request body') return `request ${describeBody(was, is)}`
  if (name.startsWith('header '))
    return `${is === undefined ? 'remove' : 'set'} ${name.slice(7)}${is === undefined ? '' : `: ${is}`}`
  if (is === undefined) return `remove ${name}`
  return was === undefined ? `set ${name}: ${show(is)}` : `${name}: ${show(was)} → ${show(is)}`
}

/** What became of a body or a part of it, by its length where that is known. */
export function describeBody(was: unknown, is: unknown): string {
  return `body: ${attempt(() => lengthOf(was)) ?? '?'} → ${attempt(() => lengthOf(is)) ?? '?'} bytes`
}

/** What a plugin threw, or why it could not run. */
export function describeThrown(error: unknown): string {
  const text = attempt(() => (error instanceof Error ? error.message : String(error)))
  return `threw ${text ?? 'what has no text'}`
}

function lengthOf(body: unknown): number | string {
  if (body === undefined || body === null) return 0
  if (typeof body === 'string') return Buffer.byteLength(body)
  if (body instanceof Uint8Array) return body.length
  return typeof (body as { pipe?: unknown }).pipe === 'function' ? '?' : Buffer.byteLength(JSON.stringify(body) ?? '')
}

function show(value: unknown): string {
  const text = typeof value === 'object' && value !== null ? (JSON.stringify(value) ?? '') : String(value)
  return text.length > 200 ? `${text.slice(0, 200)}…` : text
}
