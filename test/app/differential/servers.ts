import { type EventEmitter, once } from 'node:events'
import { createServer, type RequestListener, type Server } from 'node:http'
import { createServer as createHttp2Server } from 'node:http2'
import type { AddressInfo } from 'node:net'
import Koa, { type Context, type Middleware } from 'koa'
import Koa2 from 'koa2'
import { type Dynacode, dynacode } from '../../../lib/index.ts'

/** One app behind one kind of dynacode, over HTTP/1 and 2. */
export interface Twin {
  readonly koa: 'Koa 2' | 'Koa 3'
  readonly variant: string
  readonly ports: { readonly http1: number; readonly http2: number }
  /** What the app has seen since the last call: its error events, and how its responses and their sources ended. */
  takeSeen(): Promise<readonly string[]>
}

/** Code that changes nothing, by phase; `then` is what it does first. */
const code = (then: string, returned: string) => ({
  rewrite: `${then} void ctx.path`,
  access: `${then} void ctx.get('Host')`,
  content: `${then} void ctx.body`,
  balancer: `${then} void ctx.state.upstream`,
  header_filter: `${then} void [ctx.status, ctx.message, ctx.response.headers]`,
  body_filter: `${then} ${returned}`,
  log: `${then} void ctx.status`,
})
type Codes = Partial<ReturnType<typeof code>>
const withoutBody = ({ body_filter: _, ...rest }: ReturnType<typeof code>): Codes => rest
const ASYNC = 'await new Promise((done) => setImmediate(done));'

/** What stands in front of the app. The first is nothing at all. */
const VARIANTS: Readonly<Record<string, Codes | null>> = {
  'no dynacode': null,
  'no plugin': {},
  'sync, no body_filter': withoutBody(code('', '')),
  'async, no body_filter': withoutBody(code(ASYNC, '')),
  sync: code('', 'return undefined'),
  async: code(ASYNC, 'return chunk'),
}

/** Apps that are to answer alike. */
export interface Twins {
  readonly twins: readonly Twin[]
  /** What plugins failed with: they change nothing, and none of them does. */
  readonly failures: string[]
  close(): Promise<void>
}

/** Starts every app that is to answer alike. */
export async function startTwins(handle: Middleware | readonly Middleware[]): Promise<Twins> {
  const closing: (() => unknown)[] = []
  const twins: Twin[] = []
  const failures: string[] = []
  for (const [variant, codes] of Object.entries(VARIANTS)) {
    const dyna = codes === null ? null : await startInstance(codes, (what) => failures.push(`${variant}: ${what}`))
    if (dyna !== null) closing.push(() => dyna.close())
    for (const [koa, App] of [
      ['Koa 2', Koa2 as typeof Koa],
      ['Koa 3', Koa],
    ] as const) {
      const { app, takeSeen } = createApp(App, dyna, handle)
      const listener = app.callback() as RequestListener
      const servers = [createServer(listener), createHttp2Server(listener as never) as unknown as Server]
      const [http1, http2] = (await Promise.all(servers.map(listen))) as [number, number]
      closing.push(...servers.map((server) => () => server.close().closeAllConnections?.()))
      twins.push({ koa, variant, ports: { http1, http2 }, takeSeen })
    }
  }
  return {
    twins,
    failures,
    async close() {
      await Promise.all(closing.map((close) => close()))
    },
  }
}

async function startInstance(codes: Codes, failed: (what: string) => void): Promise<Dynacode> {
  const plugins = Object.entries(codes).map(([phase, text]) => ({ name: phase, phase, code: text }))
  const document = JSON.stringify({ domains: [{ name: 'a.com', plugins }] })
  const dyna = dynacode({ source: { fetch: async () => ({ bytes: Buffer.from(document) }) } })
  dyna.events.on('rt_plugins_error', ({ plugin, error }) => {
    failed(`${plugin.name} failed: ${error instanceof Error ? error.message : error}`)
  })
  await dyna.ready()
  return dyna
}

async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

function createApp(App: typeof Koa, dyna: Dynacode | null, handle: Middleware | readonly Middleware[]) {
  const app = new App()
  let seen: string[] = []
  let open = 0
  app.on('error', (error) => seen.push(`error: ${error?.code ?? error?.message ?? error}`))
  app.use(async (ctx, next) => {
    open += 1
    ctx.res.once('finish', () => seen.push('finish'))
    ctx.res.once('close', () => seen.push('close'))
    // Over HTTP/2, Node does not say of every response that it is closed, but of every stream.
    const closing: EventEmitter = 'stream' in ctx.req ? (ctx.req.stream as EventEmitter) : ctx.res
    closing.once('close', () => {
      open -= 1
    })
    ctx.state.see = (what: string) => seen.push(what)
    await next()
  })
  if (dyna !== null) app.use(dyna)
  for (const each of [handle].flat() as Middleware[]) app.use(each)
  return {
    app,
    async takeSeen() {
      // Of what is pipelined behind the end of a connection, Node closes no response.
      for (let turn = 0; turn < (open > 0 ? 200 : 5); turn += 1) {
        await new Promise((done) => setTimeout(done, turn < 5 ? 0 : 5))
      }
      open = 0
      const taken = seen.toSorted()
      seen = []
      return taken
    },
  }
}

/** Notes how the source of a body ends. */
export function watch<T extends NodeJS.ReadableStream>(ctx: Context, source: T): T {
  source.on('close', () => ctx.state.see('source closed'))
  source.on('error', () => undefined)
  return source
}
