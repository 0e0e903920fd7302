// One start that start-up.mjs measures. Arguments: what, and of what.
import { createRequire, register } from 'node:module'
import { MessageChannel } from 'node:worker_threads'

const [what, name, api] = process.argv.slice(2)
const STARTS = { import: measureImport, count: countModules, plugin_app: measurePluginApp, serve }
await STARTS[what]()

async function measureImport() {
  const before = { at: performance.now(), cpu: process.cpuUsage(), heap: process.memoryUsage().heapUsed }
  await import(name)
  const ms = performance.now() - before.at
  const { user, system } = process.cpuUsage(before.cpu)
  const heap_mb = (process.memoryUsage().heapUsed - before.heap) / 1e6
  console.log(JSON.stringify({ ms, cpu_ms: (user + system) / 1e3, heap_mb }))
}

/** Files that are loaded: modules by a hook, those of CommonJS by its cache. */
async function countModules() {
  const loaded = new Set()
  const { port1, port2 } = new MessageChannel()
  port1.on('message', (url) => loaded.add(url))
  const hook = `let port
    export const initialize = (given) => { port = given }
    export const load = (url, context, next) => { port.postMessage(url); return next(url, context) }`
  register(`data:text/javascript,${encodeURIComponent(hook)}`, { data: port2, transferList: [port2] })
  await import(name)
  await new Promise((resolve) => setTimeout(resolve, 200))
  const required = Object.keys(createRequire(import.meta.url).cache).map((path) => `file://${path}`)
  const files = new Set([...loaded, ...required].filter((url) => url.startsWith('file:')))
  console.log(files.size)
  process.exit()
}

async function measurePluginApp() {
  const { plugin_app } = await import('dynacode/testing')
  const begun = performance.now()
  await plugin_app({ phase: 'access', code: 'exit(403)' })
  console.log(JSON.stringify({ ms: performance.now() - begun }))
  process.exit()
}

async function serve() {
  const { default: Koa } = await import('koa')
  const app = new Koa()
  if (name !== 'koa') {
    const { dynacode } = await import('dynacode')
    const source = { fetch: async () => ({ bytes: Buffer.from('{"domains":[]}') }) }
    const from = name === 'source' ? { source } : { plugin_api_uri: `http://127.0.0.1:${api}/plugins.json` }
    app.use(dynacode({ ...from, logger: false }))
  }
  app.use((ctx) => {
    ctx.body = 'hello world'
  })
  process.on('message', () => process.send(process.memoryUsage().rss))
  const server = app.listen(0, '127.0.0.1', () => process.send(server.address().port))
}
