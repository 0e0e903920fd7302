// The plugin API: serves a folder of plugins as the document, at /plugins.json.
// Usage: node --import tsx examples/quick-start/api.ts [port] [folder]
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import Koa from 'koa'
import { createPluginFolder, type Reading } from './plugin-folder.ts'
import { serve } from './serve.ts'

const [port = '9090', folder = join(import.meta.dirname, 'plugins')] = process.argv.slice(2)
const read = createPluginFolder(folder)
let told: Reading | undefined

function tell(reading: Reading): void {
  if (reading === told) return
  if ('error' in reading) console.error(reading.error)
  else if (told === undefined) console.log(`serving ${folder}`)
  else console.log('error' in told ? `${folder} can be read again` : 'the plugins changed')
  told = reading
}

const app = new Koa()

app.use(async (ctx) => {
  if (ctx.path !== '/plugins.json') return ctx.throw(404, 'the document is at /plugins.json\n')
  // Read for each request: what is served is never older than the files.
  const reading = await read()
  tell(reading)
  if ('error' in reading) {
    ctx.status = 500
    ctx.body = `${reading.error}\n`
    return
  }
  ctx.status = 200
  ctx.type = 'application/json'
  ctx.etag = createHash('sha256').update(reading.document).digest('base64url')
  ctx.set('Cache-Control', 'no-cache')
  if (ctx.fresh) ctx.status = 304
  else ctx.body = reading.document
})

await serve(app.callback(), port)
