import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { gzipSync } from 'node:zlib'
import { createHttpSource } from '../../lib/sources/http/source.ts'
import { rates, simulateFleet } from './simulation.ts'

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
    plugin_api_deltas: false,
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
  const arrivals = await simulateFleet({ pollers, interval: INTERVAL, outage_from: END, outage_to: END, end: END })
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

How much load 10 to 100,000 processes put on a source, and [which source to choose](#which-source-to-choose). \`npm run scale\` generates this
page: rates come from the real poller on a simulated clock, sizes from real requests over a socket. The document has ${plugins.length} plugins:
${size(DOCUMENT.length)}, or ${size(COMPRESSED.length)} with gzip. A poll without changes (304) is ${bytes.unchanged} bytes, including the headers of request and answer. A poll with the
document is ${count(bytes.changed)} bytes.

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

The more processes there are, the closer the peak is to the mean. [Fleet simulation](fleet.md) shows a start and an outage.

## By source

Computed from the same sizes, with ${PROCESSES_OF_A_MACHINE} processes on each machine, an interval of ${INTERVAL} s and a \`plugin_api_wait\` of ${INTERVAL} s. "At once" is the
burst of a change: requests and bytes. With polling, a change is spread over the interval.

${table(['source', '100: steady', 'at once', '10,000: steady', 'at once', '100,000: steady', 'at once'], computed)}

Redis has no conditional GET, so each poll transfers the document. Polls only pick up what a message missed, so set a longer interval.

A process that uses long polling also keeps its ordinary polls, so it sends two requests per interval, and keeps one connection open. With
a shared \`cache_path\`, one process per machine does both on behalf of all.

## Which source to choose

| site | use | because |
|---|---|---|
| one machine | \`folder_source\`, or anything | a change is live as soon as the file is written |
| up to several hundred processes | long polling of your own API | a change is live at once; a few hundred open connections are cheap |
| the same, if you have Redis | \`redis_source\` | you need no API, and Redis announces changes |
| thousands | long polling with a shared \`cache_path\` | the API sees machines, not processes |
| tens of thousands and more | a plain file behind a CDN or in an object store, polled, with a shared \`cache_path\` | nearly every answer is a 304 from a nearby cache |
| several data centers | a cache in each, in front of one API | a process asks the nearby cache. The cache must support \`If-None-Match\`; for long polling it must hold requests open |

A static file is all the API you need: any web server that sends ETags and answers \`If-None-Match\` works, as nginx does by default.

- To update the file, write a new one beside it and rename that one, so that no process gets half a file.
- A CDN serves its copy for as long as \`Cache-Control\` allows. Add that time to the interval.
- If a CDN or object store is between you and the processes, [sign the document](trust.md): anyone who can write there could run code in
  every process.
`
writeFileSync(new URL('../../docs/scale.md', import.meta.url), page)
process.stdout.write(page)
