// The plugin API: serves a folder of plugins as the document, at /plugins.json.
// Usage: node --import tsx examples/quick-start/api.ts [port] [folder]
import { join } from 'node:path'
import { folder_source } from 'dynacode'
import Koa from 'koa'
import { serve } from './serve.ts'

const [port = '9090', folder = join(import.meta.dirname, 'plugins')] = process.argv.slice(2)
const source = folder_source(folder)
let told: string | undefined

/** Tells once of what has changed: the tag of the document, or what is wrong with the folder. */
function tell(reading: string, message: string, print = console.log): void {
  if (reading === told) return
  told = reading
  print(message)
}

const app = new Koa()

app.use(async (ctx) => {
  if (ctx.path !== '/plugins.json') return ctx.throw(404, 'the document is at /plugins.json\n')
  try {
    // Read for each request: what is served is never older than the files.
    const fetched = await source.fetch(AbortSignal.timeout(5000), undefined)
    if (fetched.unchanged) return
    tell(String(fetched.tag), told === undefined ? `serving ${folder}` : 'the plugins changed')
    ctx.status = 200
    ctx.type = 'application/json'
    ctx.etag = String(fetched.tag)
    ctx.set('Cache-Control', 'no-cache')
    if (ctx.fresh) ctx.status = 304
    else ctx.body = Buffer.from(fetched.bytes)
  } catch (error) {
    const { message } = error as Error
    tell(message, message, console.error)
    ctx.status = 500
    ctx.body = `${message}\n`
  }
})

await serve(app.callback(), port)
