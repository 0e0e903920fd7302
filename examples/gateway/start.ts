// Starts two servers and the gateway in front of them, in one process.
// Usage: node --import tsx examples/gateway/start.ts
import { once } from 'node:events'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { folder_source } from 'dynacode'
import { createGateway } from './gateway.ts'

const folder = process.env.PLUGINS_FOLDER ?? fileURLToPath(new URL('plugins', import.meta.url))

async function listen(listener: RequestListener, port = 0): Promise<Server> {
  const server = createServer(listener).listen(port, '127.0.0.1')
  await once(server, 'listening')
  return server
}
const addressOf = (server: Server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`

/** Stands for a server in any language. */
const upstream =
  (name: string): RequestListener =>
  (req, res) => {
    res.setHeader('content-type', 'text/plain')
    res.end(`server ${name}: ${req.method} ${req.url}, for ${req.headers['x-forwarded-for']}\n`)
  }
const [blue, green] = await Promise.all([listen(upstream('blue')), listen(upstream('green'))])

const gateway = createGateway(
  {
    source: folder_source(folder),
    plugin_api_polling_interval: 5,
    when_not_loaded: 'wait',
    globals: { upstreams: { blue: addressOf(blue), green: addressOf(green) } },
    on_update: ({ version, plugins }) => console.log(`version ${version} is live: ${plugins} plugins`),
    on_compile_fail: ({ error }) => console.error(error.message),
    on_fail: ({ plugin, error }) => console.error(`plugin "${plugin.name}" failed: ${error}`),
  },
  { upstream: addressOf(blue) },
)
const front = await listen(gateway.app.callback(), Number(process.env.PORT ?? 0))
front.on('upgrade', gateway.upgrade)
const address = addressOf(front)

console.log(`
The gateway is at ${address}, and its plugins are in ${folder}. Try:

  curl ${address}/hello                         goes to blue
  curl -H 'x-canary: 1' ${address}/hello        goes to green
  curl -X POST -d data ${address}/orders        bodies stream through

Then change "draining": [] to ["blue"] in plugins/dynacode.json, and ask for /hello again: green answers.
Ctrl-C ends it.
`)

async function stop() {
  for (const server of [front, blue, green]) {
    server.close()
    server.closeAllConnections()
  }
  await gateway.close()
}
process.once('SIGINT', stop)
process.once('SIGTERM', stop)
