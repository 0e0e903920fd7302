import { type IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type Koa from 'koa'
import type { Context, Middleware } from 'koa'
import onFinished from 'on-finished'
import type { Chain, Program } from '../program.ts'

/** What plugins decided about an upgrade request. */
export interface UpgradeDecision {
  /** Whether the app may upgrade the connection. If not, the request has been answered: do not use its socket. */
  readonly allowed: boolean
  /** The request's context: `ctx.req` after the `rewrite` plugins, and `ctx.state` as plugins have set it. */
  readonly ctx: Context
}

/**
 * Runs the `rewrite`, `access` and `balancer` plugins for an upgrade request, such as a WebSocket's. Koa never sees these
 * requests, so call this in the server's `upgrade` listener. If the request is not allowed, it is answered, and its socket
 * is closed. Never rejects.
 *
 * @param app the Koa app whose settings apply, such as `proxy` and `keys`
 * @example
 * server.on('upgrade', async (req, socket, head) => {
 *   const { allowed } = await dyna.upgrade(app, req, socket)
 *   if (allowed) sockets.handleUpgrade(req, socket, head, connected)
 * })
 */
export type Upgrade = (app: Koa, req: IncomingMessage, socket: Duplex) => Promise<UpgradeDecision>

/**
 * Narrows the programs of an instance to the phases that a request to upgrade has: whoever takes the connection over answers
 * it, so that there is no response for the others.
 */
export function narrowToUpgrades(program: () => Program | null): () => Program | null {
  const narrowed = new WeakMap<Chain, Chain>()
  const narrow = (chain: Chain | null) => {
    if (chain === null) return null
    let known = narrowed.get(chain)
    if (known === undefined) {
      const none = Object.freeze([])
      const by_path = { ...chain.by_path, log: undefined }
      known = Object.freeze({
        ...chain,
        content: none,
        header_filter: none,
        body_filter: none,
        log: none,
        by_path,
        before_app: Object.freeze(chain.before_app.filter(({ phase }) => phase !== 'content')),
        is_filtered: false,
        is_thrown_in: false,
      })
      narrowed.set(chain, known)
    }
    return known
  }
  return () => {
    const current = program()
    if (current === null) return null
    return {
      ...current,
      match: (ctx) => narrow(current.match(ctx)),
      matchHost: (host) => narrow(current.matchHost(host)),
    }
  }
}

/**
 * Makes what the app calls in its server's `upgrade` listener. Nothing that it returns rejects.
 *
 * @param middleware the request line with programs that are narrowed to upgrades
 */
export function createUpgrade(middleware: Middleware): Upgrade {
  return async (app, req, socket) => {
    // Node has taken its own listener off, and a client that resets the connection must not end the process.
    const ignore = () => undefined
    socket.on('error', ignore)
    const res = new ServerResponse(req)
    res.shouldKeepAlive = false
    const ctx = app.createContext(req, res) as Context
    if (!tryAssigning(res, socket)) {
      // Its client has not waited for the response to an earlier request, which is being written.
      socket.destroy()
      return { allowed: false, ctx }
    }
    let allowed = false
    let failure: { readonly error: unknown } | undefined
    try {
      await middleware(ctx, async () => {
        allowed = true
      })
    } catch (error) {
      failure = { error }
    }
    if (allowed && failure === undefined && !socket.destroyed) {
      res.detachSocket(socket as Socket)
      socket.off('error', ignore)
      return { allowed, ctx }
    }
    await answer(app, ctx, socket, failure)
    return { allowed: false, ctx }
  }
}

/** What of Koa writes a response, and is public in all but its types. */
interface Handler {
  handleRequest(ctx: Context, handle: (ctx: Context) => Promise<void>): Promise<unknown>
}

async function answer(
  app: Koa,
  ctx: Context,
  socket: Duplex,
  failure: { readonly error: unknown } | undefined,
): Promise<void> {
  const { statusCode } = ctx.res
  onFinished(ctx.res, () => socket.end(() => socket.destroy()))
  // What the client sends meanwhile would have the connection reset before the answer is read.
  socket.resume()
  try {
    await (app as unknown as Handler).handleRequest(ctx, async () => {
      ctx.res.statusCode = statusCode
      if (failure !== undefined) throw failure.error
    })
  } catch {
    // Whatever Koa cannot write, nobody gets through.
    socket.destroy()
  }
}

function tryAssigning(res: ServerResponse, socket: Duplex): boolean {
  try {
    res.assignSocket(socket as Socket)
    return true
  } catch {
    return false
  }
}
