import { createHash } from 'node:crypto'
import { createCache } from '../../../lib/background/cache/disk.ts'

// A process that polls with a cache its disk refuses, and tells what was reported.
const [path = '', polls = '0'] = process.argv.slice(2)
const reports: string[] = []
const cache = createCache({
  source: 'ours',
  path,
  max_bytes: 2 ** 24,
  report: ({ code, message }) => reports.push(`${code} ${message}`),
})
const outcomes: boolean[] = []
// Nothing that the cache waits for holds a process.
const holding = setInterval(() => undefined, 1000)

for (let poll = 0; poll < Number(polls); poll += 1) {
  const release = await cache.lock({ max_age_ms: 0, stale_ms: 1000, signal: new AbortController().signal })
  const bytes = Buffer.alloc(60_000, String(poll))
  const sha1 = createHash('sha1').update(bytes).digest('hex')
  outcomes.push(await cache.write({ bytes, tag: `"${poll}"`, version: poll, sha1 }))
  await cache.note_version(poll)
  await cache.touch(sha1, `"${poll}"`)
  release?.()
}
await cache.close()
process.stdout.write(JSON.stringify({ outcomes, reports, read: cache.read().length }))
clearInterval(holding)
