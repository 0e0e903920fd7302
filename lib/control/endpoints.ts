import { createHash, timingSafeEqual } from 'node:crypto'
import type { Context, Middleware, Next } from 'koa'
import * as z from 'zod'
import type { Refresh } from '../background/refresh.ts'
import { DynacodeError, OptionError } from '../errors.ts'
import { createTokenBucket } from '../time/token-bucket.ts'
import { describeKind, describeMismatch } from '../validation/schema-error.ts'
import type { Status } from './status.ts'

/** Options of `dyna.control()`. */
export interface ControlOptions {
  /**
   * The token that each request must send as `Authorization: Bearer …`. At least 16 characters; use 32 random ones. Only
   * letters, digits and `-._~+/=` are allowed (RFC 6750, 2.1).
   */
  token: string
  /**
   * Path prefix of the endpoints.
   *
   * @default '/_dynacode'
   */
  path?: string
}

/** What the endpoints do. */
export interface ControlActions {
  refresh(): Promise<Refresh>
  status(): Status
  disable(): void
  enable(): void
  isClosed(): boolean
  /** The instance's own middleware. */
  readonly middleware: Middleware
}

const schema = z.strictObject({
  token: z
    .string()
    .refine((text) => text.length >= 16, 'a token of at least 16 characters')
    .regex(/^[\w.~+/=-]+$/, 'a token of letters, digits and -._~+/='),
  path: z
    .string()
    .regex(/^\/[^?#]*[^/?#]$/, 'a path that begins with / and does not end with one')
    .default('/_dynacode'),
})

/** So many refreshes may be asked for at once, */
const BURST = 5
/** and so many a second after that. */
const PER_SECOND = 1

/**
 * Makes the endpoints by which one instance is looked at and steered.
 *
 * @throws OptionError when an option is wrong; without a token there are no endpoints
 */
export function createControl(given: ControlOptions, actions: ControlActions): Middleware {
  const { token, path } = parseOptions(given)
  const wanted = digest(token)
  const bucket = createTokenBucket(BURST, PER_SECOND)

  const endpoints: Readonly<Record<string, { methods: readonly string[]; answer(ctx: Context): unknown }>> = {
    '/status': { methods: ['GET', 'HEAD'], answer: (ctx) => send(ctx, 200, actions.status()) },
    '/refresh': { methods: ['POST'], answer: refresh },
    '/disable': {
      methods: ['POST'],
      answer(ctx) {
        actions.disable()
        send(ctx, 200, actions.status())
      },
    },
    '/enable': {
      methods: ['POST'],
      answer(ctx) {
        actions.enable()
        send(ctx, 200, actions.status())
      },
    },
  }

  async function refresh(ctx: Context): Promise<void> {
    const wait_ms = bucket.peek()
    if (wait_ms > 0) {
      ctx.set('Retry-After', String(Math.ceil(wait_ms / 1000)))
      return refuse(ctx, 429, 'refreshed too often: wait as long as Retry-After says')
    }
    bucket.take()
    const result = await actions.refresh()
    send(ctx, statusOf(result), describeRefresh(result, actions.status()))
  }

  return async function dynacodeControl(ctx: Context, next: Next): Promise<unknown> {
    // As the client sent it: no rewrite of a plugin's leads here.
    const asked = ctx.originalUrl.replace(/[?#].*$/s, '')
    if (asked !== path && !asked.startsWith(`${path}/`)) return next()
    ctx.set('Cache-Control', 'no-store')
    if (isBehind(ctx, dynacodeControl, actions.middleware)) {
      return refuse(ctx, 500, 'dyna.control() must be in front of dyna: app.use(dyna.control(…)), then app.use(dyna)')
    }
    if (!isAuthorized(ctx, wanted)) {
      ctx.set('WWW-Authenticate', 'Bearer')
      return refuse(ctx, 401, 'expected the header Authorization: Bearer <token>, with the token of dyna.control()')
    }
    const name = asked.slice(path.length)
    const endpoint = Object.hasOwn(endpoints, name) ? endpoints[name] : undefined
    if (endpoint === undefined) {
      return refuse(ctx, 404, `expected ${Object.keys(endpoints).join(', ')} after ${path}`)
    }
    if (!endpoint.methods.includes(ctx.method)) {
      ctx.set('Allow', endpoint.methods.join(', '))
      return refuse(ctx, 405, `expected ${endpoint.methods.join(' or ')}`)
    }
    if (actions.isClosed()) return refuse(ctx, 503, 'dynacode is closed')
    return endpoint.answer(ctx)
  }
}

function parseOptions(given: ControlOptions): Required<ControlOptions> {
  const result = schema.safeParse(given)
  if (result.success) return result.data
  // Never the value: it may be the token.
  const { path, message } = describeMismatch(result.error, given, describeKind)
  throw new OptionError(path, `dyna.control(options): ${path === '' ? '' : `option ${path}: `}${message}`)
}

/** Plugins run before what stands behind dynacode, and may answer in its place. */
function isBehind(ctx: Context, own: Middleware, instance: Middleware): boolean {
  const all = ctx.app.middleware as readonly unknown[]
  const before = all.indexOf(instance)
  return before !== -1 && before < all.indexOf(own)
}

function isAuthorized(ctx: Context, wanted: Buffer): boolean {
  const [, token] = /^bearer +(\S+)$/i.exec(ctx.get('Authorization')) ?? []
  // Digests have one length, so that the comparison takes one time.
  return token !== undefined && timingSafeEqual(digest(token), wanted)
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}

/** 200: what the source has is live; 502: it could not be had; 422: it was refused. */
function statusOf(result: Refresh): number {
  if (result.updated || result.reason === 'unchanged') return 200
  if (result.reason === 'closed') return 503
  return result.reason === 'fetch' ? 502 : 422
}

/** What happened, and how each plugin fares now. */
function describeRefresh(result: Refresh, { version, plugins }: Status): object {
  if (result.updated) return { ...result, plugins }
  const { reason, error } = result
  const code = error instanceof DynacodeError ? error.code : 'ERR_DYNACODE_FETCH'
  return {
    updated: false,
    reason,
    error: error === undefined ? null : { code, message: error.message },
    version,
    plugins,
  }
}

function refuse(ctx: Context, status: number, message: string): void {
  send(ctx, status, { error: message })
}

function send(ctx: Context, status: number, body: object): void {
  ctx.status = status
  ctx.body = body
}
