// A Koa app with dynacode in front.
// Usage: node --import tsx examples/quick-start/app.ts [address of the plugin API] [port]
import { dynacode } from 'dynacode'
import Koa from 'koa'
import { serve } from './serve.ts'

const [plugin_api_uri = 'http://127.0.0.1:9090/plugins.json', port = '8080'] = process.argv.slice(2)
let trouble: string | undefined

const dyna = dynacode({
  plugin_api_uri,
  plugin_api_polling_interval: 0.5,
  workers_max_jitter: 0.1,
  // Without plugins there is no token authentication: whoever comes before the first document waits for it.
  when_not_loaded: 'wait',
  on_update({ version, plugins, compiled, failed }) {
    trouble = undefined
    console.log(`version ${version} is live: ${plugins} plugins, ${compiled} compiled, ${failed} refused`)
  },
  on_compile_fail({ error, kept_last_good }) {
    console.error(error.message)
    console.error(kept_last_good ? '  its last good version goes on serving' : '  it has no earlier version to serve')
  },
  // After every poll: tell when a trouble begins and when it ends, not twice a second.
  on_no_update({ error }) {
    if (error?.message === trouble) return
    trouble = error?.message
    if (error) console.error(`nothing changes: ${error.message}`)
    else console.log('the plugin API answers again, nothing has changed')
  },
  on_fail: ({ plugin, error }) => console.error(`plugin "${plugin.name}" failed: ${error}`),
  on_error: ({ error }) => console.error(`${error}`),
})

const app = new Koa()
app.use(dyna)
app.use((ctx) => {
  ctx.body = 'the app itself\n'
})

await serve(app.callback(), port, dyna.close)
