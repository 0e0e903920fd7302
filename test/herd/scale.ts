import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { gzipSync } from 'node:zlib'
import { createHttpSource } from '../../lib/sources/http/source.ts'
import { rates, simulateHerd } from './simulation.ts'

// Writes docs/scale.md: what 10 to 100 000 processes ask of an API. Rates are those of the real poller on a simulated clock,
// bytes those of real requests.
const INTERVAL = 30
const PROCESSES_OF_A_MACHINE = 8
const SITES = [10, 100, 1000, 10_000, 100_000]
const END = 150

/** As good as random: a document of real keys and addresses is not compressed to nothing either. */
const hashes = (index: number) =>
  Array.from({ length: 6 }, (_, key) => createHash('sha1').update(`${index} ${key}`).digest('hex'))

const plugins = Array.from({ length: 200 }, (_, index) => ({
  name: `plugin ${index}`,
  phase: 'access',
  when: { paths: `/area/${index}/*rest`, not: { headers: { 'x-token': `token-${(index * 7919) % 1000}` } } },
  code: `const known = new Set(${JSON.stringify(hashes(index))})\nif (!known.has(ctx.get('x-key'))) exit(401, 'who is there?')\n`,
  params: { limit: (index % 9) + 1 },
}))
const DOCUMENT = Buffer.from(JSON.stringify({ general: { version: 1 }, domains: [{ name: '*', plugins }] }))
const COMPRESSED = gzipSync(DOCUMENT)

/** Bytes of one request and its answer, headers included, on a connection that is there already. */
async function measureBytes(): Promise<{ unchanged: number; changed: number }> {
  const sockets = new Set<Socket>()
  const server = createServer((request, response) => {
    response.setHeader('ETag', '"1"')
    if (request.headers['if-none-match'] === '"1"') response.writeHead(304).end()
    else response.writeHead(200, { 'Content-Type': 'application/json', 'Content-Encoding': 'gzip' }).end(COMPRESSED)
  })
  server.on('connection', (socket: Socket) => sockets.add(socket))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const source = createHttpSource({
    plugin_api_uri: `http://127.0.0.1:${(server.address() as AddressInfo).port}/plugins.json`,
    plugin_api_headers: {},
    plugin_api_dispatcher: undefined,
    plugin_api_max_bytes: 16 * 1024 * 1024,
    plugin_api_redirects: 0,
    plugin_api_wait: 0,
    plugin_api_timeout: 5,
    plugin_api_polling_interval: INTERVAL,
  })
  const { signal } = new AbortController()
  const sum = () => [...sockets].reduce((bytes, socket) => bytes + socket.bytesRead + socket.bytesWritten, 0)
  const bytesOf = async (last: string | undefined) => {
    const before = sum()
    await source.fetch(signal, last)
    return sum() - before
  }
  await bytesOf(undefined)
  const measured = { unchanged: await bytesOf('"1"'), changed: await bytesOf(undefined) }
  await source.close?.()
  server.close()
  server.closeAllConnections()
  return measured
}

const bytes = await measureBytes()
const count = (value: number) => (value < 10 ? value.toFixed(1) : Math.round(value).toLocaleString('en'))
const size = (value: number) => {
  const unit = value >= 1e9 ? 'GB' : value >= 1e6 ? 'MB' : 'KB'
  return `${count(value / { GB: 1e9, MB: 1e6, KB: 1e3 }[unit])} ${unit}`
}
const table = (heads: string[], rows: string[][]) =>
  [heads, heads.map((_, index) => (index === 0 ? '---' : '---:')), ...rows]
    .map((row) => `| ${row.join(' | ')} |`)
    .join('\n')

const simulated: string[][] = []
for (const pollers of SITES) {
  const arrivals = await simulateHerd({ pollers, interval: INTERVAL, outage_from: END, outage_to: END, end: END })
  const { mean, peak } = rates(arrivals, INTERVAL, END)
  simulated.push([
    pollers.toLocaleString('en'),
    count(mean),
    count(peak),
    `${size(mean * bytes.unchanged)}/s`,
    size(pollers * bytes.changed),
    `${size((pollers * bytes.changed) / INTERVAL)}/s`,
  ])
}

/** Redis has no conditional GET: each poll brings the document, as it is. */
const REDIS_BYTES = DOCUMENT.length

/** Requests a second, bytes of each, and requests that a change brings at once, with the bytes of each. */
const mediums: readonly (readonly [string, number, number, number, number])[] = [
  ['polling', 1 / INTERVAL, bytes.unchanged, 0, 0],
  ['polling, shared cache', 1 / PROCESSES_OF_A_MACHINE / INTERVAL, bytes.unchanged, 0, 0],
  ['long polling', 2 / INTERVAL, bytes.unchanged, 1, bytes.changed],
  [
    'long polling, shared cache',
    2 / PROCESSES_OF_A_MACHINE / INTERVAL,
    bytes.unchanged,
    1 / PROCESSES_OF_A_MACHINE,
    bytes.changed,
  ],
  ['Redis', 1 / INTERVAL, REDIS_BYTES, 1, REDIS_BYTES],
]
const computed = mediums.map(([name, rate, each, burst, burst_each]) => [
  name,
  ...[100, 10_000, 100_000].flatMap((n) => [
    `${count(rate * n)}/s, ${size(rate * n * each)}/s`,
    burst === 0 ? '—' : `${count(burst * n)}, ${size(burst * n * burst_each)}`,
  ]),
])

const page = `# Scale

What 10 to 100,000 processes ask of the place where the document comes from, and which place that should be. Made by
\`npm run scale\`: the rates are those of the real poller on a simulated clock, the bytes those of real requests over a socket. The
document has ${plugins.length} plugins: ${size(DOCUMENT.length)}, of which gzip makes ${size(COMPRESSED.length)}. A poll that brings nothing new (304) is ${bytes.unchanged} bytes, request and
answer with their headers; one that brings the document is ${count(bytes.changed)}.

## Polling every ${INTERVAL} s

${table(
  [
    'processes',
    'requests a second',
    'peak',
    'when nothing changes',
    'a change, in all',
    'a change, spread over the interval',
  ],
  simulated,
)}

The mean grows with the processes; the peak comes nearer to it the more there are. What happens at a start and in an outage is on
a [page of its own](herd.md).

## By source

Computed from the same bytes, with ${PROCESSES_OF_A_MACHINE} processes on each machine, an interval of ${INTERVAL} s and a \`plugin_api_wait\` of ${INTERVAL} s. "At once" is what a change
brings in one moment: requests and bytes. By polling it is spread over the interval.

${table(['source', '100: steady', 'at once', '10,000: steady', 'at once', '100,000: steady', 'at once'], computed)}

Redis has no conditional GET, so each poll of it brings the document. With its notices the polls are only for what a notice has
missed: give them a longer interval there.

A process that long-polls also keeps its ordinary polls, so it asks twice in an interval, and holds one connection open. With a
shared \`cache_path\` one process of a machine does both for all.

## Which to take

| site | take | because |
|---|---|---|
| one machine | \`folder_source\`, or anything | a change is live as soon as the file is written |
| up to some hundred processes | long polling of an API of your own | a change is live at once; a few hundred open connections are nothing |
| the same, with a Redis at hand | \`redis_source\` | there is no API to write, and Redis tells of changes |
| thousands | long polling with a shared \`cache_path\` | the API sees machines, not processes |
| tens of thousands and more | a plain file behind a CDN or in an object store, polled, with a shared \`cache_path\` | the answer to nearly every request is a 304 from near by |
| several data centres | a cache of each, in front of one API | a process asks the cache near by. A cache that knows \`If-None-Match\` will do; for long polling it must hold the request open |

A plain file is enough of an API: a web server that sends ETags and answers \`If-None-Match\`, as nginx does by default, needs no code at
all. Write the new file beside the old one and rename it, so that nobody gets half of it. A CDN serves what it has for as long as
\`Cache-Control\` allows: that time is added to the interval. Sign the document ([trust](trust.md)) where a CDN or an object store is
between you and the processes: whoever can write there could run code in every process.
`
writeFileSync(new URL('../../docs/scale.md', import.meta.url), page)
process.stdout.write(page)
