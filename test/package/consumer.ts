// A user's program, as TypeScript sees it. It is compiled against the packed declarations, never run.
import { dynacode } from 'dynacode'
import Koa from 'koa'

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
