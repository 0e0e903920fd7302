// Starts an app with four plugins and a page of metrics for Prometheus, and sends it requests, so that there is something to
// see. Usage: node --import tsx examples/prometheus/start.ts
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { dynacode } from 'dynacode'
import { collect } from 'dynacode/metrics'
import Koa, { type Context, type Next } from 'koa'
import { register } from 'prom-client'

const DOCUMENT = {
  general: { version: 1 },
  domains: [
    {
      name: '*',
      plugins: [
        { name: 'cors', phase: 'header_filter', code: `ctx.set('Access-Control-Allow-Origin', '*')` },
        { name: 'token', phase: 'access', code: `if (ctx.path === '/private') exit(401, 'a token, please\\n')` },
        { name: 'slow', phase: 'access', code: `await new Promise((done) => setTimeout(done, 20 * Math.random()))` },
        { name: 'flaky', phase: 'rewrite', code: `if (ctx.path === '/broken') throw new Error('as it was told to')` },
      ],
    },
  ],
}
const PATHS = ['/', '/', '/', '/private', '/broken']

const bytes = Buffer.from(JSON.stringify(DOCUMENT))
const dyna = dynacode({ source: { fetch: async () => ({ bytes }) }, plugin_api_polling_interval: 5 })
// At once, so that nothing goes uncounted.
const stop = collect(dyna)

async function metrics(ctx: Context, next: Next): Promise<void> {
  if (ctx.path !== '/metrics') return next()
  ctx.type = register.contentType
  ctx.body = await register.metrics()
}

const app = new Koa()
// In front of dynacode, so that no plugin stands in the way of who looks.
app.use(metrics)
app.use(dyna)
app.use((ctx) => {
  ctx.body = 'the app itself\n'
})
const server = createServer(app.callback()).listen(Number(process.env.APP_PORT ?? 3000), '127.0.0.1')
await once(server, 'listening')
const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`

console.log(`
An app is at ${address}, and its metrics are at ${address}/metrics. Try:

  curl ${address}/metrics
  prometheus --config.file=examples/prometheus/prometheus.yml --storage.tsdb.path=/tmp/dynacode-prometheus

Prometheus has its page at http://127.0.0.1:9090, with the alerts of alerts.yml. Grafana imports dashboard.json.

Ctrl-C ends it.
`)

const load = setInterval(async () => {
  const path = PATHS[Math.floor(Math.random() * PATHS.length)]
  // The server may be gone by now.
  await fetch(`${address}${path}`).then(
    (response) => response.text(),
    () => undefined,
  )
}, 100)

async function end(): Promise<void> {
  clearInterval(load)
  stop()
  server.close()
  server.closeAllConnections()
  await dyna.close()
}
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, end)
