// A process that starts with 1 000 plugins: from the cache, or from a bootstrap document in memory. Sends its port.
import { dynacode } from 'dynacode'
import Koa from 'koa'
import { HOST } from './instance.mjs'

const [path, from] = process.argv.slice(2)
const plugins = Array.from({ length: 1000 }, (_, index) => ({
  name: `plugin ${index}`,
  phase: 'content',
  code: `if (ctx.path === '/${index === 999 ? '' : index}') { for (const part of ctx.path.split('/')) ctx.state.part = part\n ctx.body = 'plugin ${index}' }`,
}))
const document = { domains: [{ name: HOST, plugins }] }
const sources = {
  // The process before the one that is measured: it had the network.
  fill: { source: { fetch: async () => ({ bytes: Buffer.from(JSON.stringify(document)) }) }, cache_path: path },
  cache: { source: { fetch: () => new Promise(() => undefined) }, cache_path: path },
  bootstrap: { source: { fetch: () => new Promise(() => undefined) }, bootstrap: document },
}
const dyna = dynacode({ ...sources[from], plugin_api_polling_interval: 86_400 })
await dyna.ready()
const server = new Koa().use(dyna).listen(0, '127.0.0.1', () => process.send(server.address().port))
