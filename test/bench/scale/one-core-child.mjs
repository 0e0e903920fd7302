// An app with many plugins, for a process that has one core. Arguments: the API's address, and seconds between polls. Sends its
// port once the first document is live, and its memory when asked.
import { once } from 'node:events'
import { dynacode } from 'dynacode'
import Koa from 'koa'

const [uri, interval] = process.argv.slice(2)
const dyna = dynacode({
  plugin_api_uri: uri,
  plugin_api_polling_interval: Number(interval),
  workers_max_jitter: 0,
  logger: false,
})
const app = new Koa().use(dyna).use((ctx) => {
  ctx.body = 'hello'
})
const server = app.listen(0, '127.0.0.1')
await once(server, 'listening')
await dyna.ready(120_000)
process.on('message', (asked) => {
  if (asked === 'rss') process.send({ rss: process.memoryUsage.rss(), version: dyna.status().version })
  else process.exit()
})
process.send({ port: server.address().port })
