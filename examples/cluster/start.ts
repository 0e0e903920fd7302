// Starts a plugin API over a folder, and an app in four processes that share one port and one cache.
// Usage: node --import tsx examples/cluster/start.ts. Environment: PORT (8080; 0: a free one), WORKERS (4), PLUGINS_FOLDER.
import cluster, { type Address } from 'node:cluster'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { folder_source } from 'dynacode'
import { createApi } from './api.ts'

const { PORT = '8080', WORKERS = '4', PLUGINS_FOLDER: folder = join(import.meta.dirname, 'plugins') } = process.env
// In production: a folder of its own that only the app's user can write to, and that outlives a restart.
const scratch = mkdtempSync(join(tmpdir(), 'dynacode-cluster-'))
let stopping = false

const source = folder_source(folder)
const api = createApi(source, (error) => console.error(`API: ${error.message}`))
const server = createServer(api.listener).listen(0, '127.0.0.1')
await once(server, 'listening')

cluster.setupPrimary({ exec: join(import.meta.dirname, 'worker.ts'), execArgv: ['--import', 'tsx'] })
const env = {
  PLUGIN_API_URI: `http://127.0.0.1:${(server.address() as AddressInfo).port}/plugins.json`,
  CACHE_PATH: join(scratch, 'document'),
  PORT,
}
cluster.on('exit', ({ process: { pid } }, code, signal) => {
  if (stopping) {
    if (Object.keys(cluster.workers ?? {}).length === 0) rmSync(scratch, { recursive: true, force: true })
    return
  }
  console.log(`worker ${pid} ended (${signal ?? code}); another one takes its place`)
  cluster.fork(env)
})
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, stop)

const addresses = await Promise.all(Array.from({ length: Number(WORKERS) }, startWorker))
const address = `http://127.0.0.1:${addresses[0]?.port}`
console.log(`
${WORKERS} processes answer at ${address}, and their plugins are in ${folder}. Try:

  curl -i ${address}/hello           a plugin answers, in whichever process it is; X-Worker says which
  curl -i -A Robot ${address}/       a plugin refuses

Then change greeting.js: every process answers anew at once. Kill one of them: its place is taken.
Ctrl-C ends it.
`)

async function startWorker(): Promise<Address> {
  const [address] = await once(cluster.fork(env), 'listening')
  return address as Address
}

function stop(): void {
  stopping = true
  for (const worker of Object.values(cluster.workers ?? {})) worker?.disconnect()
  api.close()
  server.close()
  server.closeAllConnections()
}
