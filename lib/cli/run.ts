import { once } from 'node:events'
import { createServer, request, STATUS_CODES } from 'node:http'
import type { AddressInfo } from 'node:net'
import { performance } from 'node:perf_hooks'
import { buffer } from 'node:stream/consumers'
import type { Context, Middleware, Next } from 'koa'
import { readDocument } from '../background/validator.ts'
import type { Document } from '../document.ts'
import { plugin_app } from '../plugin-app.ts'
import type { AddCommand, CommonOptions } from './command.ts'
import { Failure, messageOf } from './failure.ts'
import { collectLines, readHeaderLines } from './header-lines.ts'
import { importGlobals } from './import-globals.ts'
import { readInput, readUrl } from './input.ts'
import { createProxy } from './proxy.ts'
import { traceRequest } from './request-trace.ts'
import { type Ran, showTrace } from './show-trace.ts'

interface RunOptions extends CommonOptions {
  readonly header?: readonly string[]
  readonly data?: string
  readonly against?: string
  readonly ip?: string
  readonly at?: string
  readonly globalsFrom?: string
}

/** Adds `run`. */
export const addRun: AddCommand = (program, terminal, finish) => {
  program
    .command('run')
    .summary('send one request through the plugins')
    .description(
      'Sends one request through the plugins, and tells which of them ran, what they changed, and why others did not.',
    )
    .argument('<source>', 'a file, a folder with a dynacode.json, or a URL')
    .argument('<method>', 'such as GET')
    .argument('<url>', 'such as http://shop.example/cart: its host decides which plugins there are')
    .option('-H, --header <line>', 'a header of the request, such as "Accept: text/html"', collectLines)
    .option('-d, --data <text>', 'body of the request')
    .option('--against <url>', 'a server that answers behind the plugins; a bare app unless given')
    .option('--ip <address>', 'where the request is from; 127.0.0.1 unless given')
    .option('--at <time>', 'what time it is, such as 2030-01-31T12:00:00Z')
    .option('--globals-from <file>', "a module that exports the app's own names that plugins may use")
    .action(async (source: string, method: string, url: string, _: unknown, command) => {
      const options = command.optsWithGlobals() as RunOptions
      const ran = await run(source, method.toUpperCase(), url, options)
      if (options.json) terminal.print(JSON.stringify(ran, undefined, 2))
      else showTrace(ran, terminal)
      finish(ran.plugins.some(({ outcome }) => outcome === 'failed' || outcome === 'refused') ? 1 : 0)
    })
}

async function run(source: string, method: string, given: string, options: RunOptions): Promise<Ran> {
  const { header = [], data, against, ip, at, globalsFrom } = options
  if (!/^[A-Z]+$/.test(method)) throw new Failure(`expected a method such as GET, got ${JSON.stringify(method)}`)
  const url = new URL(readUrl(given).url)
  if (!/^https?:$/.test(url.protocol)) throw new Failure(`${given}: expected a URL that begins with http://`)
  const headers = readHeaderLines(header, '--header')
  if (against !== undefined) readUrl(against)
  if (at !== undefined && Number.isNaN(Date.parse(at)))
    throw new Failure(`--at: expected a time in ISO 8601, got ${at}`)
  const globals = globalsFrom === undefined ? {} : await importGlobals(globalsFrom)
  const { text } = await readInput(source, options)
  const document = read(text, source)

  let unreachable: string | undefined
  const proxy =
    against === undefined
      ? answer
      : createProxy(against, (message) => {
          unreachable = message
        })
  const app = await plugin_app(JSON.parse(text), {
    app: (ctx: Context, next: Next) => {
      trace.reachApp()
      return proxy(ctx, next)
    },
    allow_refused: true,
    globals,
    ...(at === undefined ? {} : { now: at }),
  })
  const trace = traceRequest(app, document, () => (at === undefined ? Date.now() : Date.parse(at)))
  app.middleware.unshift((ctx, next) => {
    if (ip !== undefined) ctx.request.ip = ip
    trace.begin(ctx)
    return next()
  })
  const server = createServer(app.callback()).listen(0, '127.0.0.1')
  try {
    await once(server, 'listening')
    const started = performance.now()
    const response = await send((server.address() as AddressInfo).port, method, url, headers, data)
    const duration_ms = performance.now() - started
    await app.settled()
    if (unreachable !== undefined) throw new Failure(`${against}: ${unreachable}`)
    return { request: { method, url: url.href }, plugins: trace.list(response.status), response, duration_ms }
  } finally {
    await app.close()
    server.close()
  }
}

const answer: Middleware = (ctx) => {
  ctx.body = 'the app\n'
}

function read(text: string, name: string): Document {
  try {
    return readDocument(text)
  } catch (cause) {
    throw new Failure(`${name}: ${messageOf(cause)}`, 2, cause)
  }
}

async function send(
  port: number,
  method: string,
  { host, pathname, search }: URL,
  headers: Record<string, string | string[]>,
  data: string | undefined,
): Promise<Ran['response']> {
  const length = data === undefined ? {} : { 'content-length': String(Buffer.byteLength(data)) }
  const path = pathname + search
  const sent = request({
    host: '127.0.0.1',
    port,
    path,
    method,
    headers: { host, ...length, ...headers },
    agent: false,
  })
  sent.end(data)
  const [response] = await once(sent, 'response')
  const status = response.statusCode as number
  const body = (await buffer(response)).toString()
  return { status, message: response.statusMessage || (STATUS_CODES[status] ?? ''), headers: response.headers, body }
}
