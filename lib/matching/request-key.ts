import type { Context } from 'koa'
import * as z from 'zod'
import { own } from './condition.ts'

/** Names the key of a request: `ip`, `random`, `header:…`, `cookie:…` or `query:…`; of a list, the first that the request has. */
export type KeyNames = string | readonly string[]

const name = z
  .string()
  .regex(
    /^(ip|random|header:[\w!#$%&'*+.^`|~-]+|cookie:[^\s;=]+|query:.+)$/,
    '"ip", "random", "header:…", "cookie:…" or "query:…"',
  )

/** More keys than anybody's requests have. */
const MOST = 10

/**
 * Names what a request is counted by: the same key is always in, or always out.
 *
 * @internal
 */
export const keyNamesSchema = z.union([name, z.array(name).min(1).max(MOST)])

/** What is wrong with a list of keys: a path from the list, and what to say; undefined where nothing is. */
export function findKeyFault(names: KeyNames): { readonly path: string; readonly message: string } | undefined {
  if (typeof names === 'string') return undefined
  for (const [index, key] of names.entries()) {
    const before = names[index - 1]
    if (before === 'ip' || before === 'random') {
      return {
        path: `[${index}]`,
        message: `expected nothing after "${before}", which every request has, got "${key}"`,
      }
    }
    if (names.indexOf(key) < index) {
      return { path: `[${index}]`, message: `expected each key once, got "${key}" again` }
    }
  }
  return undefined
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

/** Makes what reads the key of a request; it is undefined where the request has none. */
export function createKeyReader(names: KeyNames, draw: Draw): (ctx: Context) => string | undefined {
  const readers = [names].flat().map((key) => createReader(key, draw))
  const [only] = readers
  if (readers.length === 1 && only !== undefined) return only
  return (ctx) => {
    for (const read of readers) {
      const key = read(ctx)
      if (key !== undefined) return key
    }
    return undefined
  }
}

/** Whether it is chance that decides on a request. */
export function isDrawn(names: KeyNames, ctx: Context): boolean {
  let drawn = false
  createKeyReader(names, () => {
    drawn = true
    return ''
  })(ctx)
  return drawn
}

function createReader(name: string, draw: Draw): (ctx: Context) => string | undefined {
  if (name === 'random') return draw
  // The same client on a server that listens for both kinds of addresses is no other one.
  if (name === 'ip') return (ctx) => filled(ctx.ip.replace(/^::ffff:(?=[\d.]+$)/i, ''))
  const [kind, key = ''] = [name.slice(0, name.indexOf(':')), name.slice(name.indexOf(':') + 1)]
  if (kind === 'header') return (ctx) => one(own(ctx.req.headers, key.toLowerCase()))
  if (kind === 'cookie') return (ctx) => filled(ctx.cookies.get(key, { signed: false }))
  return (ctx) => one(own(ctx.query, key))
}

const one = (value: string | string[] | undefined) => filled(Array.isArray(value) ? value[0] : value)
/** An empty one tells nobody from others. */
const filled = (value: string | undefined) => (value === '' ? undefined : value)
