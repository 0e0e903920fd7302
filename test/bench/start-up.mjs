// What starting costs: importing each package, the command line, a test's app, a server. Each in processes of its own, which take
// turns. Puts its table into docs/benchmarks.md as a part of `npm run bench`; alone: `npm run bench -- --start-up`.
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer, request } from 'node:http'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import autocannon from 'autocannon'
import { createTable, describeMachine, judge } from './report.mjs'
import { median } from './statistics.mjs'

const CHILD = join(import.meta.dirname, 'start-up-child.mjs')
const MAIN = join(import.meta.dirname, '..', '..', 'dist', 'cli', 'main.js')
const IMPORTS = ['koa', 'dynacode', 'dynacode/testing']
const COMMANDS = { empty: ['-e', '0'], version: [MAIN, '--version'], help: [MAIN, '--help'] }
/** Koa alone; with an instance whose document the app hands over; with one that polls an API. */
const SIDES = ['koa', 'source', 'api']
const CONNECTIONS = 32

/**
 * Measures starts.
 *
 * @param plan how many `starts` of each kind, and the `requests` after which the memory is read
 */
export async function measureStartUp({ starts, requests }) {
  const imports = Object.fromEntries(IMPORTS.map((name) => [name, []]))
  const commands = Object.fromEntries(Object.keys(COMMANDS).map((name) => [name, []]))
  const servers = Object.fromEntries(SIDES.map((side) => [side, []]))
  const apps = []
  const api = createServer((_, response) => response.end('{"domains":[]}')).listen(0, '127.0.0.1')
  await once(api, 'listening')
  for (let start = 0; start < starts; start += 1) {
    for (const name of IMPORTS) imports[name].push(JSON.parse(run([CHILD, 'import', name])))
    for (const [name, words] of Object.entries(COMMANDS)) commands[name].push(timeOf(() => run(words)))
    apps.push(JSON.parse(run([CHILD, 'plugin_app'])))
    for (const side of SIDES) {
      servers[side].push(await startServer(side, api.address().port, requests))
    }
  }
  api.close()
  api.closeAllConnections()
  return { imports, modules: IMPORTS.map((name) => JSON.parse(run([CHILD, 'count', name]))), commands, apps, servers }
}

function run(words) {
  return execFileSync(process.execPath, words, { encoding: 'utf8', cwd: import.meta.dirname })
}

function timeOf(call) {
  const begun = performance.now()
  call()
  return performance.now() - begun
}

/** The time from starting a server's process to its first answer, and its memory after it has had some load. */
async function startServer(side, api, requests) {
  const begun = performance.now()
  const child = spawn(process.execPath, [CHILD, 'serve', side, String(api)], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    env: { ...process.env, NODE_ENV: 'production' },
  })
  const exit = once(child, 'exit')
  const [port] = await once(child, 'message')
  const sent = request({ host: '127.0.0.1', port, headers: { connection: 'close' } }).end()
  const [response] = await once(sent, 'response')
  if ((await text(response)) !== 'hello world') throw new Error(`${side} does not serve its app`)
  const first_ms = performance.now() - begun
  await autocannon({ url: `http://127.0.0.1:${port}/`, connections: CONNECTIONS, amount: requests })
  child.send('memory')
  const [bytes] = await once(child, 'message')
  child.kill()
  await exit
  return { first_ms, resident_mb: bytes / 1e6 }
}

/** The tables of a run, in Markdown. */
export function createStartUpReport({ imports, modules, commands, apps, servers }) {
  const of = (rounds, key) => median(rounds.map((round) => round[key]))
  const ratio = (name, key) => median(imports[name].map((round, index) => round[key] / imports.koa[index][key]))
  const empty = median(commands.empty)
  const most = 1.5 * empty + 60
  const app = of(apps, 'ms')
  const command = (name) => [
    `\`dynacode --${name}\``,
    ms(median(commands[name])),
    `an empty process ${ms(empty)}`,
    judge(`≤ 1.5 × that + 60 ms`, median(commands[name]) <= most),
  ]
  const first = (side) => of(servers[side], 'first_ms')
  const resident = (side) => of(servers[side], 'resident_mb')
  const served = (side, what) => [
    [
      `Koa with ${what}, first answer`,
      ms(first(side)),
      `Koa alone ${ms(first('koa'))}`,
      judge('≤ 1.52 × that', first(side) <= 1.52 * first('koa')),
    ],
    [
      `Koa with ${what} and no plugin, resident after load`,
      `${resident(side).toFixed(0)} MB`,
      `Koa alone ${resident('koa').toFixed(0)} MB`,
      judge('≤ 1.29 × that', resident(side) <= 1.29 * resident('koa')),
    ],
  ]
  return [
    `Command: \`npm run bench\`. ${describeMachine()}.`,
    createTable(
      ['import', 'modules', 'time', 'processor time', '÷ koa', 'by processor time', 'heap', 'target'],
      IMPORTS.map((name, index) => [
        `\`${name}\``,
        String(modules[index]),
        ms(of(imports[name], 'ms')),
        ms(of(imports[name], 'cpu_ms')),
        ratio(name, 'ms').toFixed(2),
        ratio(name, 'cpu_ms').toFixed(2),
        `${of(imports[name], 'heap_mb').toFixed(1)} MB`,
        name === 'dynacode' ? judge('≤ 2 × koa', ratio(name, 'ms') <= 2) : '',
      ]),
    ),
    createTable(
      ['start', 'median', 'beside', 'target'],
      [
        command('version'),
        command('help'),
        ['a first `plugin_app`, once imported', ms(app), '', judge('≤ 100 ms', app <= 100)],
        ...served('source', 'dynacode, a source of its own'),
        ...served('api', 'dynacode that polls an API'),
      ],
    ),
  ].join('\n\n')
}

const ms = (value) => `${value.toFixed(0)} ms`
