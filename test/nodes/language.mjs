// Programs in the language's newer words, each by a plugin with the guard and by one without: both have to come to the same,
// on every Node, whether that knows the words or not.
import { deepEqual, ok } from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createServer, request } from 'node:http'
import { inspect } from 'node:util'
import { dynacode } from 'dynacode'
import Koa from 'koa'

const programs = JSON.parse(readFileSync(new URL('newer-syntax.json', import.meta.url), 'utf8'))

const done = {}
const finish = (name, outcome) => {
  done[name] = inspect(outcome, { depth: 5 })
}
// What V8 shows of the code in a message may show a check.
const shown = (message) => message.replace(/^.*\(\.\.\.\)/, 'f()')
const domains = programs.flatMap((code, index) =>
  ['on', 'off'].map((guard) => {
    const name = `${index}-${guard}`
    const text = `const seen = []; try { finish("${name}", [await (async () => {\n${code}\n})(), seen]) } catch (e) { finish("${name}", [e.name, shown(e.message), seen]) }`
    return { name: `${name}.test`, plugins: [{ name, phase: 'access', guard, code: text }] }
  }),
)
const refused = {}
const dyna = dynacode({
  logger: false,
  budget_ms: 10_000,
  source: { fetch: async () => ({ bytes: Buffer.from(JSON.stringify({ domains })) }) },
  globals: { finish, shown },
})
dyna.events.on('bg_compile_error', ({ plugin, error }) => {
  refused[plugin.name] = error.message.replace(/^.*?: /, '')
})
await dyna.ready()
const app = new Koa().use(dyna).use((ctx) => {
  ctx.body = 'app'
})
const server = createServer(app.callback()).listen(0, '127.0.0.1')
await new Promise((resolve) => server.once('listening', resolve))
const { port } = server.address()
for (const { name } of domains) {
  await new Promise((resolve, reject) => {
    const options = { port, host: '127.0.0.1', headers: { host: name }, agent: false }
    request(options, (response) => response.resume().on('end', resolve))
      .on('error', reject)
      .end()
  })
}
server.close()
await dyna.close()

let ran = 0
for (const [index, code] of programs.entries()) {
  const [on, off] = ['on', 'off'].map(
    (guard) => done[`${index}-${guard}`] ?? `refused: ${refused[`${index}-${guard}`]}`,
  )
  deepEqual([code, on], [code, off])
  if (!on.startsWith('refused')) ran += 1
}
ok(ran > programs.length / 2, `${ran} of ${programs.length} programs ran`)
