// Metrics in prom-client's own register, from the packed tarball with the lowest prom-client that it promises to work with.
import { match, rejects } from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import { dynacode } from 'dynacode'
import { collect } from 'dynacode/metrics'
import Koa from 'koa'
import { register } from 'prom-client'

const document = { domains: [{ name: '*', plugins: [{ name: 'wall', phase: 'access', code: 'exit(403)' }] }] }
const dyna = dynacode({ source: { fetch: async () => ({ bytes: Buffer.from(JSON.stringify(document)) }) } })
collect(dyna)
await dyna.ready()
const server = createServer(new Koa().use(dyna).callback()).listen(0)
await once(server, 'listening')
const response = await fetch(`http://127.0.0.1:${server.address().port}/`, { headers: { connection: 'close' } })
await response.text()
server.close()

const text = await register.metrics()
match(text, /^dynacode_events_total\{event="rt_plugins_done"\} 1$/m)
match(text, /^dynacode_plugin_duration_seconds_count\{domain="\*",plugin="wall",phase="access",outcome="exit"\} 1$/m)

// The same register for who requires.
const required = createRequire(import.meta.url)('dynacode/metrics')
required.collect(dyna, { prefix: 'required_' })
match(await register.metrics(), /^required_document_loaded 1$/m)

await dyna.close()
await register.metrics()
await rejects(register.getSingleMetricAsString('dynacode_document_loaded'))
