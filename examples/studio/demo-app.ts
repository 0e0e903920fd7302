// A Koa app with dynacode in front, which takes its plugins from the studio and reports to it.
// Environment: STUDIO (its address), REPORT_TOKEN, PORT (3000; 0: a free one).
import type { AddressInfo } from 'node:net'
import { dynacode } from 'dynacode'
import Koa from 'koa'

const { STUDIO = 'http://127.0.0.1:4000', REPORT_TOKEN = '', PORT = '3000' } = process.env

const dyna = dynacode({
  plugin_api_uri: `${STUDIO}/plugins.json`,
  plugin_api_headers: { authorization: `Bearer ${REPORT_TOKEN}` },
  plugin_api_wait: 30,
  plugin_api_polling_interval: 5,
  report_uri: `${STUDIO}/api/reports`,
  report_headers: { authorization: `Bearer ${REPORT_TOKEN}` },
  report_interval: 5,
})

const app = new Koa()
app.use(dyna)
app.use((ctx) => {
  ctx.body = 'the app itself\n'
})
const server = app.listen(Number(PORT), '127.0.0.1', () => {
  const { port } = server.address() as AddressInfo
  if (process.send === undefined) console.log(`the demo app listens on http://127.0.0.1:${port}/`)
  else process.send({ port })
})

async function stop(): Promise<void> {
  server.close()
  server.closeAllConnections()
  await dyna.close()
  process.exit()
}
process.on('SIGTERM', stop)
process.on('SIGINT', stop)
process.on('disconnect', stop)
