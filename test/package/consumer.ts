// A user's program, as TypeScript sees it. It is compiled against the packed declarations, never run.
import { dynacode, type Source } from 'dynacode'
import * as memcached from 'dynacode/memcached'
import { type CollectOptions, collect } from 'dynacode/metrics'
import type { PluginContext, Scope } from 'dynacode/plugin'
import * as redis from 'dynacode/redis'
import { checkSource, plugin_app, stream_body } from 'dynacode/testing'
import Koa from 'koa'
import { Client } from 'memjs'
import { Registry } from 'prom-client'
import { createClient } from 'redis'

const app = new Koa()
const dyna = dynacode({
  plugin_api_uri: 'http://localhost:9090/plugins.json',
  on_compile_fail: ({ plugin, error }) => console.error(plugin.name, error.message),
  on_success: ({ plugin, duration_ms }) => console.log(plugin.name.toUpperCase(), duration_ms.toFixed(1)),
})
dyna.events.on('rt_plugins_error', ({ error }) => console.error(error))
app.use(dyna)

const collecting: CollectOptions = { register: new Registry(), labels: { edge: 'a' } }
const stop = collect(dyna, collecting)
stop()

// @ts-expect-error a misspelt option is a type error
collect(dyna, { max_plugin: 5 })

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

const tried = await plugin_app({ phase: 'access', code: 'exit(403)' }, { app: stream_body(['a']), now: new Date() })
console.log(tried.callback(), tried.events_of('rt_plugins_done')[0]?.duration_ms, tried.rollout_key('plugin'))
const seen = tried.events.find(({ name }) => name === 'bg_compile_error')
if (seen?.name === 'bg_compile_error') console.log(seen.payload.plugin.name)
await tried.document({ domains: [] })

// @ts-expect-error there is no such phase
await plugin_app({ phase: 'acess', code: '' })

// @ts-expect-error a misspelt option is a type error
await plugin_app([], { glbals: {} })

declare module 'dynacode/plugin' {
  interface ContextExtras {
    user?: { name: string }
  }
}
declare const context: PluginContext
declare const filter: Scope<'body_filter', { limit: number }>
console.log(context.user?.name, filter.chunk.length > filter.params.limit)

// @ts-expect-error there is no such member
console.log(context.usr)
