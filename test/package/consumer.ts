// A user's program, as TypeScript sees it. It is compiled against the packed declarations, never run.
import { dynacode, type Source } from 'dynacode'
import * as memcached from 'dynacode/memcached'
import * as redis from 'dynacode/redis'
import { checkSource } from 'dynacode/testing'
import Koa from 'koa'
import { Client } from 'memjs'
import { createClient } from 'redis'

const app = new Koa()
const dyna = dynacode({
  plugin_api_uri: 'http://localhost:9090/plugins.json',
  on_compile_fail: ({ plugin, error }) => console.error(plugin.name, error.message),
  on_success: ({ plugin, duration_ms }) => console.log(plugin.name.toUpperCase(), duration_ms.toFixed(1)),
})
dyna.events.on('rt_plugins_error', ({ error }) => console.error(error))
app.use(dyna)

await dyna.ready()
await dyna.refresh()
await dyna.close()

// @ts-expect-error a misspelt option is a type error
dynacode({ plugin_api_url: 'http://localhost:9090/plugins.json' })

const place = { key: 'plugins', channel: 'changes' }
const client = createClient()
const sources: Source[] = [
  redis.redis_source({ client, ...place }),
  redis.redis_source({ client: createClient({ RESP: 2, socket: { host: 'localhost' } }), ...place }),
  memcached.memcached_source({ client: Client.create(), key: 'plugins' }),
]
await redis.publish_document(client, { ...place, document: { domains: [] } })
await memcached.publish_document(Client.create(), { key: 'plugins', document: '{"domains":[]}' })
for (const source of sources) {
  for (const { name, run } of checkSource(() => ({ source, publish: () => undefined }))) console.log(name, await run())
}

// @ts-expect-error the channel is missing
redis.redis_source({ client, key: 'plugins' })
