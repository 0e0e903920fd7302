// One of the cluster's workers: a Koa app with dynacode in front.
import { dynacode } from 'dynacode'
import Koa from 'koa'

const { PLUGIN_API_URI, CACHE_PATH, PORT } = process.env

const dyna = dynacode({
  plugin_api_uri: PLUGIN_API_URI,
  // Changes come by the long poll, which one worker does for all of them; polls are for what it may miss.
  plugin_api_wait: 30,
  plugin_api_polling_interval: 30,
  cache_path: CACHE_PATH,
  when_not_loaded: 'wait',
  on_update: ({ version, from }) => console.log(`worker ${process.pid}: version ${version} is live, from the ${from}`),
  on_compile_fail: ({ error }) => console.error(`worker ${process.pid}: ${error.message}`),
  on_error: ({ section, error }) => console.error(`worker ${process.pid}: ${section}: ${error}`),
})

const app = new Koa()
app.use((ctx, next) => {
  ctx.set('X-Worker', String(process.pid))
  return next()
})
app.use(dyna)
app.use((ctx) => {
  ctx.body = 'the app itself\n'
})

const server = app.listen(Number(PORT), '127.0.0.1')
process.on('SIGINT', () => undefined)
process.once('disconnect', stop)
process.once('SIGTERM', stop)

function stop(): void {
  server.close()
  server.closeIdleConnections()
  void dyna.close().then(() => process.exit())
}
