import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, request, type Server, STATUS_CODES } from 'node:http'
import { duplexPair } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import type { Context, Next } from 'koa'
import * as z from 'zod'
import { readDocument } from '../background/reading/validator.ts'
import { DynacodeError } from '../errors.ts'
import { type Time, toMilliseconds } from '../testing/manual-clock.ts'
import { type PluginApp, type PluginAppOptions, plugin_app } from '../testing/plugin-app.ts'
import { createUpstream } from '../testing/upstream.ts'
import { steadyNow } from '../time/steady-clock.ts'
import { checkArguments } from '../validation/arguments.ts'
import { type PluginTrace, type RequestTrace, traceRequest } from './request-trace.ts'

/** A request to run through the plugins. */
export interface GivenRequest {
  /** @default 'GET' */
  readonly method?: string
  /** Its host selects the plugins; nothing is sent to that host. */
  readonly url: string | URL
  readonly headers?: Readonly<Record<string, string | readonly string[]>>
  readonly body?: string | Uint8Array
  /**
   * The client's address.
   *
   * @default '127.0.0.1'
   */
  readonly ip?: string
}

/** Options of `run_request`. */
export interface RunRequestOptions extends Pick<PluginAppOptions, 'app' | 'globals'> {
  /** @default the machine's time */
  readonly now?: Time
}

/** The result of a request. */
export interface Ran {
  readonly request: { readonly method: string; readonly url: string }
  /** Every plugin of the document, in the order of the phases. */
  readonly plugins: readonly PluginTrace[]
  readonly response: {
    readonly status: number
    readonly message: string
    readonly headers: IncomingHttpHeaders
    readonly body: string
  }
  readonly duration_ms: number
}

const HEADER = z.string().regex(/^[^\r\n\0]*$/)
const ADDRESS = 'an address of IPv4 or IPv6'
const requestSchema = z.strictObject({
  method: z
    .string()
    .regex(/^[A-Z]+$/, 'a method such as GET')
    .default('GET'),
  url: z.union([
    z.url({ protocol: /^https?$/, error: 'a URL that begins with http:// or https://' }),
    z.instanceof(URL),
  ]),
  headers: z.record(z.string().regex(/^[\w!#$%&'*+.^`|~-]+$/), z.union([HEADER, z.array(HEADER)])).default({}),
  body: z.union([z.string(), z.instanceof(Uint8Array)]).optional(),
  ip: z.union([z.ipv4(ADDRESS), z.ipv6(ADDRESS)]).optional(),
})

/** No plugin and no app may take longer. In milliseconds. */
const LONGEST_MS = 60_000

/**
 * Sends one request through the plugins of a document, in a Koa app of its own, and follows it. The plugins run for real,
 * in this process: what they fetch, they fetch.
 *
 * @param text of the document, as JSON
 * @throws DocumentError when the document is refused as a whole; OptionError for what is no request; DynacodeError
 *   ERR_DYNACODE_TIMEOUT when there is no response within 60 seconds
 */
export async function runRequest(text: string, given: GivenRequest, options: RunRequestOptions = {}): Promise<Ran> {
  const { method, ip, ...rest } = checkArguments('run_request(document, request)', requestSchema, given)
  const { app: upstream = 'app', globals = {}, now } = options
  const url = new URL(rest.url)
  const document = readDocument(text)
  const at = now === undefined ? undefined : toMilliseconds(now)
  // Before the app's own middleware: only it is asked when no plugin has answered.
  const reach = (_ctx: Context, next: Next) => {
    trace.reachApp()
    return next()
  }
  const app: PluginApp = await plugin_app(JSON.parse(text), {
    app: [reach, ...createUpstream(upstream)],
    allow_refused: true,
    globals,
    ...(at === undefined ? {} : { now: at }),
  })
  const trace: RequestTrace = traceRequest(app, document, () => at ?? Date.now())
  app.middleware.unshift((ctx, next) => {
    if (ip !== undefined) ctx.request.ip = ip
    trace.begin(ctx)
    return next()
  })
  const server = createServer(app.callback())
  try {
    const started = steadyNow()
    const response = await send(server, url, { ...rest, method })
    const duration_ms = steadyNow() - started
    await app.settled()
    return { request: { method, url: url.href }, plugins: trace.list(response.status), response, duration_ms }
  } finally {
    await app.close()
  }
}

/** Over a pair of streams, without a port: there may be no network where plugins are tried. */
async function send(
  server: Server,
  { host, pathname, search }: URL,
  { method, headers, body }: Pick<z.output<typeof requestSchema>, 'method' | 'headers' | 'body'>,
): Promise<Ran['response']> {
  const length = body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) }
  const [near, far] = duplexPair()
  // What plugins read of the socket: where the request is from.
  Object.assign(far, { remoteAddress: '127.0.0.1', remoteFamily: 'IPv4' })
  // One that is cut off is cut off at both ends; a pair does not see to that by itself.
  far.once('close', () => far.writableFinished || near.destroy())
  server.emit('connection', far)
  const late = new AbortController()
  const timer = setTimeout(() => late.abort(), LONGEST_MS)
  const sent = request({
    createConnection: () => near,
    path: pathname + search,
    method,
    headers: { host, ...length, ...headers },
    signal: late.signal,
  })
  try {
    sent.end(body)
    const [response] = await once(sent, 'response')
    const status = response.statusCode as number
    const answer = (await buffer(response)).toString()
    const message = response.statusMessage || (STATUS_CODES[status] ?? '')
    return { status, message, headers: response.headers, body: answer }
  } catch (cause) {
    if ((cause as Error).name !== 'AbortError') throw cause
    throw new DynacodeError('ERR_DYNACODE_TIMEOUT', `there was no response within ${LONGEST_MS / 1000} seconds`)
  } finally {
    clearTimeout(timer)
    near.destroy()
    far.destroy()
  }
}
