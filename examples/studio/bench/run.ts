// npm run bench: how long a version takes to be served, and what 10,000 plugins cost. Writes its table into README.md.
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { startMeasured, writeTable } from './studio.ts'

const PUBLISHED = Number(process.env.PUBLISHED ?? 100)
const POLLERS = 1000
const PLUGINS = 10_000

const report_token = 'bench'
const { address, account, close } = await startMeasured(report_token)
const children: ChildProcess[] = []
const rows: [string, string][] = []

let headers: Record<string, string> = { 'content-type': 'application/json' }
async function ask<T>(method: string, path: string, body?: unknown): Promise<T> {
  const given = body === undefined ? {} : { body: JSON.stringify(body) }
  const answer = await fetch(address + path, { method, headers, ...given })
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`)
  if (path === '/api/accounts')
    headers = { ...headers, cookie: String(answer.headers.get('set-cookie')).split(';')[0] as string }
  return (answer.status === 204 ? undefined : await answer.json()) as T
}

const now = () => performance.timeOrigin + performance.now()
async function time(task: () => Promise<unknown>): Promise<number> {
  const begun = now()
  await task()
  return now() - begun
}
const quantile = (sorted: readonly number[], share: number) => sorted[Math.ceil(sorted.length * share) - 1] as number
function describe(times: number[]): string {
  const sorted = times.sort((a, b) => a - b)
  const [p50, p99] = [quantile(sorted, 0.5), quantile(sorted, 0.99)]
  return `p50 ${p50.toFixed(0)} ms, p99 ${p99.toFixed(0)} ms, at most ${(sorted.at(-1) as number).toFixed(0)} ms`
}
async function repeat(times: number, task: (at: number) => Promise<unknown>): Promise<number[]> {
  const taken: number[] = []
  for (let at = 0; at < times; at += 1) taken.push(await time(() => task(at)))
  return taken
}

async function start(script: string, env: Record<string, string>): Promise<ChildProcess> {
  const child = fork(script, { env: { ...process.env, ...env }, execArgv: ['--import', 'tsx'] })
  children.push(child)
  return child
}

const { csrf } = await ask<{ csrf: string }>('POST', '/api/accounts', account)
headers = { ...headers, 'x-csrf-token': csrf }
let { version } = await ask<{ version: number }>('GET', '/api/live')

/** A change set with a new code. */
async function draft(code: string): Promise<number> {
  const plugins = [{ name: 'marker', phase: 'content', code }]
  const document = { domains: [{ name: '*', plugins }] }
  return (await ask<{ set: number }>('POST', '/api/import', { document })).set
}
/** Publishes a change set as it is: one that was imported, or saved for the first time, has the revision 1. */
async function publishSet(set: number, message: string): Promise<void> {
  const seen = { message, base: version, revision: 1 }
  version = (await ask<{ version: number }>('POST', `/api/sets/${set}/publish`, seen)).version
}
const publish = async (code: string) => publishSet(await draft(code), code)

async function measureServed(): Promise<void> {
  const demo = await start(join(import.meta.dirname, '..', 'demo-app.ts'), {
    STUDIO: address,
    REPORT_TOKEN: report_token,
    PORT: '0',
  })
  const [{ port }] = (await once(demo, 'message')) as [{ port: number }]
  const times: number[] = []
  for (let at = 0; at < PUBLISHED + 5; at += 1) {
    const code = `say('${at}')`
    const set = await draft(code)
    const begun = now()
    const published = publishSet(set, code)
    while ((await (await fetch(`http://127.0.0.1:${port}/`)).text()) !== `${at}\n`) await sleep(1)
    // The first ones begin threads and compile what all of them use.
    if (at >= 5) times.push(now() - begun)
    await published
  }
  demo.kill()
  rows.push([`published until the demo app serves it, ${PUBLISHED} times`, describe(times)])
}

async function measurePollers(): Promise<void> {
  const pollers = await start(join(import.meta.dirname, 'pollers.ts'), {
    ADDRESS: `${address}/plugins.json`,
    POLLERS: String(POLLERS),
  })
  await once(pollers, 'message')
  await sleep(500)
  const answered = once(pollers, 'message')
  const begun = now()
  await publish("say('pollers')")
  const [{ served }] = (await answered) as [{ served: number[] }]
  pollers.kill()
  rows.push([`published until ${POLLERS} that wait have it`, describe(served.map((at) => at - begun))])
}

/** How long somebody else waits meanwhile: an instance that asks for what it has already. */
async function measureMeanwhile(task: () => Promise<unknown>): Promise<{ taken: number; waits: number[] }> {
  const etag = (await fetch(`${address}/plugins.json`)).headers.get('etag') as string
  const waits: number[] = []
  let done = false
  const asking = (async () => {
    while (!done) {
      waits.push(
        await time(() =>
          fetch(`${address}/plugins.json`, { headers: { 'if-none-match': etag } }).then((answer) =>
            answer.arrayBuffer(),
          ),
        ),
      )
      await sleep(2)
    }
  })()
  const taken = await time(task)
  done = true
  await asking
  return { taken, waits }
}

async function measureMany(): Promise<void> {
  const domains = Array.from({ length: 100 }, (_, domain) => ({
    name: `shop-${domain}.example`,
    plugins: Array.from({ length: PLUGINS / 100 }, (_, at) => ({
      name: `plugin-${domain}-${at}`,
      phase: 'access',
      on_failure: 'open',
      code: `// ${domain} ${at}\nconst limit = params.limit ?? ${at}\nif (ctx.get('x-count') > limit) exit(429, 'too many')\nctx.state.seen = (ctx.state.seen ?? 0) + 1`,
    })),
  }))
  const tell = async (name: string, task: () => Promise<unknown>) => {
    const { taken, waits } = await measureMeanwhile(task)
    rows.push([`${name}; others meanwhile`, `${taken.toFixed(0)} ms; ${describe(waits)}`])
  }
  let set = 0
  await tell('import', async () => {
    set = (await ask<{ set: number }>('POST', '/api/import', { document: { domains } })).set
  })
  rows.push([
    'a page of the list of plugins',
    describe(await repeat(50, () => ask('GET', `/api/plugins?limit=50&set=${set}`))),
  ])
  rows.push([
    'a search in it',
    describe(await repeat(50, (at) => ask('GET', `/api/plugins?limit=50&set=${set}&search=-${at}-99`))),
  ])
  await tell('the first review', () => ask('GET', `/api/sets/${set}/review`))
  rows.push(['the same again', describe(await repeat(20, () => ask('GET', `/api/sets/${set}/review`)))])
  await tell('publishing', () => publishSet(set, 'many'))
  const key = { domain: 'shop-0.example', name: 'plugin-0-0', phase: 'access' }
  const { revision, fields } = await ask<{ revision: string; fields: object }>(
    'GET',
    `/api/plugin?${new URLSearchParams(key)}`,
  )
  const { name, phase } = key
  const plugin = { name, phase, fields: { ...fields, code: 'exit(403)' } }
  set = (await ask<{ set: number }>('PUT', '/api/sets/new/plugins', { key, plugin, revision })).set
  await tell('a review with one plugin changed', () => ask('GET', `/api/sets/${set}/review`))
  await tell('publishing that', () => publishSet(set, 'one'))
  await tell('the kill switch for one plugin', () =>
    ask('POST', '/api/switch', { domain: 'shop-7.example', plugin: 'plugin-7-7', on: false }),
  )
  rows.push([
    'a search in what is live',
    describe(await repeat(20, (at) => ask('GET', `/api/live/plugins?search=-${at}-99`))),
  ])
}

try {
  await measureServed()
  await measurePollers()
  await measureMany()
} finally {
  for (const child of children) child.kill()
  await close()
}

writeTable(
  'bench',
  `From "import" on, the document has ${PLUGINS.toLocaleString('en')} plugins.`,
  ['what', 'time'],
  rows,
)
process.exit()
