// What a large fleet costs: reports that are taken, what the page Fleet loads, and what it gets while it is open.
// Environment: DATABASE_URL, a PostgreSQL in place of the embedded database; SECONDS to watch (20).
import { setTimeout as sleep } from 'node:timers/promises'
import { BOUNDS_MS } from '../server/fleet/deltas.ts'
import { startMeasured, writeTable } from './studio.ts'

const SECONDS = Number(process.env.SECONDS ?? 20)
const SMALL = 200
const LARGE = 1000
const PLUGINS = 10_000
/** Rows of a report, as many as make it 58 KB with what else is in it. */
const ROWS = 125

const { address, account, close } = await startMeasured('bench')
const begun = Date.now()
const joined = await fetch(`${address}/api/accounts`, {
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify(account),
})
if (!joined.ok) throw new Error(await joined.text())
const cookie = String(joined.headers.get('set-cookie')).split(';')[0] as string

const rows: [string, string][] = []
const kilobytes = (bytes: number) => `${(bytes / 1024).toFixed(1)} KB`
function describe(times: readonly number[]): string {
  const sorted = [...times].sort((a, b) => a - b)
  const at = (share: number) => (sorted[Math.ceil(sorted.length * share) - 1] as number).toFixed(1)
  return `p50 ${at(0.5)} ms, p99 ${at(0.99)} ms`
}

/** The report of a process, about 58 KB: a window of the plugins that moves from process to process. */
function write(process: number, sequence: number): string {
  const plugins = Array.from({ length: ROWS }, (_, row) => {
    const plugin = (process * 10 + row) % PLUGINS
    const calls = sequence * 1000 + row
    return {
      domain: `shop-${plugin % 100}.example.com`,
      name: `plugin-${plugin}-that-does-something`,
      phase: 'access',
      calls,
      errors: plugin % 50 === 0 ? sequence * 10 : 0,
      errors_closed: 0,
      exits: sequence * 3,
      shadow_runs: 0,
      shadow_exits: 0,
      shadow_changes: 0,
      shadow_errors: 0,
      sync_ms: sequence * 12.345,
      p50_ms: 0.06,
      p99_ms: 0.9,
      buckets: [0, 0, 0, calls, 0, 0, 0, 0, 0, 0, 0, 0, 0],
      last_error:
        plugin % 50 === 0
          ? {
              at: Date.now(),
              code: null,
              message: "TypeError: Cannot read properties of undefined (reading 'roles')",
              line: 4,
              column: 18,
              outcome: 'open',
            }
          : null,
    }
  })
  const notable = Array.from({ length: 60 }, (_, at) => ({
    domain: 'shop.example.com',
    name: `scheduled-${at}`,
    phase: 'access',
    state: 'scheduled',
    breaker: 'closed',
    retry_at: null,
    sha1: '84983e441c3bd26ebaae4aa1f95129e5e54670f1',
    error: null,
  }))
  return JSON.stringify({
    format: 1,
    instance: `process-${process}`,
    sequence,
    name: 'shop',
    host: `web-${process}`,
    pid: 1000 + process,
    started_at: begun,
    sent_at: Date.now(),
    interval: 60,
    closing: false,
    stale: process % 97 === 0,
    active: { version: 0, since: begun },
    plugins: { total: PLUGINS, states: { live: PLUGINS }, breakers: { closed: PLUGINS }, notable },
    counters: {
      events: {},
      refreshes: {},
      errors: {},
      bounds_ms: BOUNDS_MS,
      plugins,
      plugins_left_out: PLUGINS - ROWS,
    },
  })
}

async function report(process: number, sequence: number): Promise<number> {
  const body = write(process, sequence)
  const at = performance.now()
  const answer = await fetch(`${address}/api/reports`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: 'Bearer bench' },
    body,
  })
  if (!answer.ok) throw new Error(`${answer.status} ${await answer.text()}`)
  return performance.now() - at
}
/** All of them, eight at a time. */
async function reportAll(processes: number, sequence: number): Promise<number[]> {
  const times: number[] = []
  let next = 0
  await Promise.all(
    Array.from({ length: 8 }, async () => {
      while (next < processes) times.push(await report(next++, sequence))
    }),
  )
  return times
}
async function load(path: string): Promise<{ bytes: number; ms: number }> {
  const at = performance.now()
  const answer = await fetch(`${address}/api${path}`, { headers: { cookie } })
  const body = Buffer.from(await answer.arrayBuffer())
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${body}`)
  const bytes = body.byteLength
  return { bytes, ms: performance.now() - at }
}
const PAGE = ['/fleet', '/fleet/plugins?limit=20', '/shadow', '/fleet/chart?range=hour', '/live', '/session']
const loadPage = async () => {
  const loaded = await Promise.all(PAGE.map(load))
  return { bytes: loaded.reduce((sum, { bytes }) => sum + bytes, 0), ms: Math.max(...loaded.map(({ ms }) => ms)) }
}

/** Bytes a second that the page gets while every process reports once in ten seconds: the stream, and the rates that it looks at. */
async function watch(): Promise<number> {
  const control = new AbortController()
  const stream = await fetch(`${address}/api/events?watch=fleet`, { headers: { cookie }, signal: control.signal })
  let bytes = 0
  const reading = (async () => {
    for await (const part of stream.body as unknown as AsyncIterable<Uint8Array>) bytes += part.byteLength
  })().catch(() => undefined)
  const until = Date.now() + SECONDS * 1000
  let turn = 0
  for (; Date.now() < until; turn += 1) {
    const due = Date.now() + 1000
    for (let at = 0; at < SMALL / 10; at += 1) await report((turn * (SMALL / 10) + at) % SMALL, 10 + turn)
    if (turn % 10 === 9) bytes += (await load('/fleet/plugins?limit=20')).bytes + (await load('/shadow')).bytes
    await sleep(Math.max(0, due - Date.now()))
  }
  control.abort()
  await reading
  return bytes / SECONDS
}

try {
  rows.push(['a report', kilobytes(Buffer.byteLength(write(1, 1)))])
  rows.push([`${SMALL} processes report for the first time, each`, describe(await reportAll(SMALL, 1))])
  rows.push([`and once more`, describe(await reportAll(SMALL, 2))])
  await sleep(7000)
  const first = await loadPage()
  rows.push([`the page Fleet, first load, ${SMALL} processes`, `${kilobytes(first.bytes)}, ${first.ms.toFixed(0)} ms`])
  rows.push([`the page Fleet, open, ${SMALL} processes that report every 10 s`, `${kilobytes(await watch())}/s`])
  await reportAll(LARGE, 3)
  await reportAll(LARGE, 4)
  await sleep(7000)
  const large = await loadPage()
  rows.push([`the page Fleet, first load, ${LARGE} processes`, `${kilobytes(large.bytes)}, ${large.ms.toFixed(0)} ms`])
  for (const [what, path] of [
    [`a page of ${LARGE} processes`, '/fleet'],
    ['a search in them', '/fleet?search=web-777'],
    ['plugins, trouble first', '/fleet/plugins?limit=20'],
    ['a chart', '/fleet/chart?range=hour'],
  ] as const) {
    const times: number[] = []
    for (let at = 0; at < 30; at += 1) times.push((await load(path)).ms)
    rows.push([what, describe(times)])
  }
} finally {
  await close()
}

writeTable(
  'bench:fleet',
  `The processes report ${PLUGINS.toLocaleString('en')} different plugins.`,
  ['what', 'figure'],
  rows,
)
process.exit()
