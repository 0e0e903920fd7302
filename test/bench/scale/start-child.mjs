// A process that starts with many plugins from the cache, or with none. Arguments: path of the cache, what to start with.
import { dynacode } from 'dynacode'
import Koa from 'koa'
import { createDocument, OPTIONS } from './documents.mjs'

const [path, from, size] = process.argv.slice(2)
const hanging = { fetch: () => new Promise(() => undefined) }
const options = {
  // The process before the one that is measured: it had the network.
  fill: () => {
    const bytes = Buffer.from(JSON.stringify(createDocument('literal', Number(size))))
    return { source: { fetch: async () => ({ bytes }) }, cache_path: path }
  },
  cache: () => ({ source: hanging, cache_path: path }),
  nothing: () => ({ source: hanging, bootstrap: { domains: [] } }),
}
const instance = dynacode({ ...options[from](), ...OPTIONS, plugin_api_polling_interval: 86_400 })
await instance.ready(60_000)
const app = new Koa().use(instance).use((ctx) => {
  ctx.body = 'hello'
})
const server = app.listen(0, '127.0.0.1', () => process.send(server.address().port))
