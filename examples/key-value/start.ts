// Starts two servers in one process: one that keeps keys and values, and an app whose plugins are one of the values.
// Usage: node --import tsx examples/key-value/start.ts
import { once } from 'node:events'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { dynacode } from 'dynacode'
import Koa from 'koa'
import { createKeyValueServer } from './key-value-server.ts'

async function listen(listener: RequestListener, port = 0): Promise<Server> {
  const server = createServer(listener).listen(port, '127.0.0.1')
  await once(server, 'listening')
  return server
}
const addressOf = (server: Server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`

const store = await listen(createKeyValueServer(), Number(process.env.STORE_PORT ?? 0))
const plugin_api_uri = `${addressOf(store)}/plugins`

const hello = (text: string) =>
  JSON.stringify({
    domains: [{ name: '*', plugins: [{ name: 'hello', phase: 'content', code: `say('${text}')` }] }],
  })
await fetch(plugin_api_uri, { method: 'PUT', body: hello('hello world!') })

let told: string | undefined
const tell = (text: string) => {
  if (text !== told) console.log(text)
  told = text
}
const dyna = dynacode({
  plugin_api_uri,
  plugin_api_polling_interval: 0.5,
  workers_max_jitter: 0.1,
  when_not_loaded: 'wait',
  on_update: ({ version, plugins }) => tell(`version ${version} is live: ${plugins} plugins`),
  on_no_update: ({ error }) => error && tell(`nothing changes: ${error.message}`),
  on_compile_fail: ({ error }) => console.error(error.message),
})
const app = new Koa()
app.use(dyna)
app.use((ctx) => {
  ctx.body = 'the app itself\n'
})
const front = await listen(app.callback(), Number(process.env.APP_PORT ?? 0))
const address = addressOf(front)

console.log(`
The app is at ${address}, and its plugins are the value of ${plugin_api_uri}. Try:

  curl ${address}
  curl -X PUT -d '${hello('hello mars!').replaceAll("'", `'\\''`)}' ${plugin_api_uri}
  curl ${address}
  curl -X DELETE ${plugin_api_uri}      the app goes on with what it has

Ctrl-C ends it.
`)

async function end(): Promise<void> {
  for (const server of [front, store]) {
    server.close()
    server.closeAllConnections()
  }
  await dyna.close()
}
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, end)
