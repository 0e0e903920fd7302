// One process of a site: answers with the version that it has. Argument: what run.mjs gives it, as JSON.
// With dynacode plugins write the version. `bare` is the medium alone: the shortest code that takes the version from it.
import { once } from 'node:events'
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, watch, writeSync } from 'node:fs'
import { createServer } from 'node:http'
import { basename, dirname } from 'node:path'
import { dynacode } from 'dynacode'
import { redis_source } from 'dynacode/redis'
import Koa from 'koa'
import { createClient } from 'redis'

const { medium, bare, uri, redis_port, cache_path, interval, first, key, channel } = JSON.parse(process.argv[2])
/** No poll within the benchmark: what comes has come by the medium. */
const NEVER = 86_400

const OPTIONS = {
  polling: () => ({ plugin_api_uri: uri, plugin_api_polling_interval: interval }),
  'long polling': () => ({ plugin_api_uri: uri, plugin_api_wait: 60, plugin_api_polling_interval: NEVER }),
  Redis: async () => ({
    source: redis_source({ client: await connectRedis(), key, channel }),
    plugin_api_polling_interval: NEVER,
  }),
  'shared cache': () => ({
    plugin_api_uri: uri,
    plugin_api_wait: 60,
    plugin_api_polling_interval: NEVER,
    cache_path,
  }),
}

const BARE = {
  'long polling': longPoll,
  async Redis(take) {
    const client = await connectRedis()
    const fetch = async () => take(await client.get(key))
    await fetch()
    const subscriber = await connectRedis()
    await subscriber.subscribe(channel, fetch)
  },
  /** One process waits at the API and writes; the others watch. */
  async 'shared cache'(take) {
    if (first) {
      await longPoll((text) => {
        take(text)
        writeDurably(text)
      })
      return
    }
    watch(dirname(cache_path), (_, name) => {
      if (name === basename(cache_path)) take(readFileSync(cache_path, 'utf8'))
    })
    take(readFileSync(cache_path, 'utf8'))
  },
}

async function longPoll(take) {
  let etag
  const poll = async () => {
    const headers = etag === undefined ? {} : { 'if-none-match': etag, prefer: 'wait=60' }
    const response = await fetch(uri, { headers })
    const text = await response.text()
    etag = response.headers.get('etag')
    if (response.status === 200) take(text)
  }
  await poll()
  const again = () => poll().then(again)
  void again()
}

function writeDurably(text) {
  const file = openSync(`${cache_path}.tmp`, 'w')
  writeSync(file, text)
  fsyncSync(file)
  closeSync(file)
  renameSync(`${cache_path}.tmp`, cache_path)
}

async function connectRedis() {
  const client = createClient({ socket: { host: '127.0.0.1', port: redis_port } })
  client.on('error', (error) => console.error(error))
  return client.connect()
}

const app = new Koa()
if (bare) {
  let version = 0
  await BARE[medium]((text) => {
    version = JSON.parse(text).general.version
  })
  app.use((ctx, next) => {
    ctx.set('X-Version', String(version))
    ctx.set('X-Check', String(version))
    return next()
  })
} else {
  const instance = dynacode(await OPTIONS[medium]())
  await instance.ready()
  app.use(instance)
}
app.use((ctx) => {
  ctx.body = 'hello world'
})
const server = createServer(app.callback()).listen(0, '127.0.0.1')
await once(server, 'listening')
process.once('disconnect', () => process.exit())
process.send(server.address().port)
