// An app whose plugins are traced: sends itself two requests, prints the spans, and ends.
// Usage: node --import tsx examples/opentelemetry/start.ts
import { once } from 'node:events'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { context } from '@opentelemetry/api'
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base'
import { dynacode } from 'dynacode'
import Koa from 'koa'
import { SharedContextManager } from './context-manager.ts'
import { traceFetches, traceRequests } from './trace-http.ts'
import { tracePlugins } from './trace-plugins.ts'

// An app sends its spans to a collector; here they stay where they can be printed.
const exporter = new InMemorySpanExporter()
const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] })
const manager = new SharedContextManager()
context.setGlobalContextManager(manager.enable())
const tracer = provider.getTracer('example')

const untracePlugins = tracePlugins(tracer, manager.storage)
const untraceFetches = traceFetches(tracer)

async function listen(listener: RequestListener): Promise<{ server: Server; uri: string }> {
  const server = createServer(listener).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { server, uri: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
}

const users = await listen((_, response) => response.end('ada'))

const document = {
  domains: [
    {
      name: '*',
      plugins: [
        { name: 'who', phase: 'access', code: `ctx.state.user = await (await fetch('${users.uri}/user')).text()` },
        { name: 'block', phase: 'access', code: `if (ctx.path === '/secret') exit(403)` },
        { name: 'broken', phase: 'header_filter', code: `throw new Error('not today')` },
      ],
    },
  ],
}
// What fails is in the spans: the console need not say it.
const dyna = dynacode({
  source: { fetch: async () => ({ bytes: Buffer.from(JSON.stringify(document)) }) },
  logger: false,
})

const app = new Koa()
app.use(traceRequests(tracer))
app.use(dyna)
app.use((ctx) => {
  ctx.body = `hello ${ctx.state.user}`
})
const { server, uri } = await listen(app.callback())

await dyna.ready()
for (const path of ['/', '/secret']) {
  const response = await fetch(uri + path, { headers: { connection: 'close' } })
  console.log(`${path} answers ${response.status}: ${await response.text()}`)
}

untraceFetches()
await dyna.close()
print(exporter.getFinishedSpans())
untracePlugins()
await provider.shutdown()
for (const each of [server, users.server]) {
  each.close()
  each.closeAllConnections()
}

/** Prints each span under the one that it is part of. */
function print(spans: readonly ReadableSpan[], parent?: string, indent = ''): void {
  for (const span of spans) {
    const { name, attributes, parentSpanContext } = span
    if (parentSpanContext?.spanId !== parent) continue
    const said = attributes['dynacode.outcome'] ?? attributes['dynacode.reason'] ?? attributes['dynacode.version']
    console.log(`${indent}${name}${said === undefined ? '' : ` (${said})`}`)
    print(spans, span.spanContext().spanId, `${indent}  `)
  }
}
