import type { Context } from 'koa'
import * as z from 'zod'
import { own, type Predicate } from './condition.ts'

/** Names what a request is counted by: the same key is always in, or always out. */
const by = z
  .string()
  .regex(
    /^(ip|random|header:[\w!#$%&'*+.^`|~-]+|cookie:[^\s;=]+|query:.+)$/,
    '"ip", "random", "header:…", "cookie:…" or "query:…"',
  )

/** A share of the traffic, as a document has it. */
export interface Rollout {
  /** From 0 to 100. */
  percent?: number | undefined
  /** The key of a request: `ip`, `random`, `header:…`, `cookie:…` or `query:…`. */
  by?: string | undefined
}

/**
 * A share of the traffic.
 *
 * @internal
 */
export const rolloutSchema = z.strictObject({ percent: z.number().min(0).max(100).optional(), by: by.default('ip') })

/** A share of the traffic: from one point of the hundred to another, by a key of the request. */
export interface Share {
  readonly by: string
  readonly from: number
  readonly to: number
  /** What keeps the shares of different plugins apart: their name. */
  readonly salt: string
}

/** What a request is counted by where chance decides: the same for all who ask. */
export type Draw = (ctx: Context) => string

/** Makes the draw of one instance. */
export function createDraw(): Draw {
  const drawn = new WeakMap<Context, string>()
  return (ctx) => {
    const known = drawn.get(ctx)
    if (known !== undefined) return known
    const key = String(Math.random())
    drawn.set(ctx, key)
    return key
  }
}

/** Builds the predicate that is true for this share of the traffic. */
export function createShare({ by, from, to, salt }: Share, draw: Draw): Predicate {
  if (from <= 0 && to >= 100) return () => true
  // Each variant of a plugin asks for itself: by chance of their own, a request could be in two of them, or in none.
  const read = by === 'random' ? draw : createReader(by)
  return (ctx) => {
    const key = read(ctx)
    // Who cannot be told apart is in no share: the same visitor would be in and out by turns.
    if (key === undefined || key === '') return false
    const point = pointOf(`${salt}:${key}`)
    return point >= from && point < to
  }
}

function createReader(name: string): (ctx: Context) => string | undefined {
  // The same client on a server that listens for both kinds of addresses is no other one.
  if (name === 'ip') return (ctx) => ctx.ip.replace(/^::ffff:(?=[\d.]+$)/i, '')
  const [kind, key = ''] = [name.slice(0, name.indexOf(':')), name.slice(name.indexOf(':') + 1)]
  if (kind === 'header') return (ctx) => one(own(ctx.req.headers, key.toLowerCase()))
  if (kind === 'cookie') return (ctx) => ctx.cookies.get(key, { signed: false })
  return (ctx) => one(own(ctx.query, key))
}

function one(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value
}

/**
 * Where in the hundred a key stands, the same on every process and machine: FNV-1a over its UTF-16 units, stirred as
 * MurmurHash3 ends (both in the public domain), since FNV alone spreads short keys badly.
 */
function pointOf(key: string): number {
  let hash = 0x811c9dc5
  for (let index = 0; index < key.length; index += 1) {
    const unit = key.charCodeAt(index)
    hash = Math.imul(hash ^ (unit & 0xff), 0x01000193)
    hash = Math.imul(hash ^ (unit >>> 8), 0x01000193)
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return ((hash ^ (hash >>> 16)) >>> 0) * (100 / 2 ** 32)
}
