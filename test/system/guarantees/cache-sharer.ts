import { createHash, randomBytes } from 'node:crypto'
import { appendFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { createCache } from '../../../lib/background/cache/disk.ts'
import { bytesOf } from '../../fixtures/cache.ts'

// One of several processes that share a cache, and take turns at fetching as the poller does. It notes in a log when a
// fetch begins and ends, and, so that others must take over, kills itself in the midst of some.
const [path = '', log = '', max_age = '0', run = '0', death = '0'] = process.argv.slice(2)
const max_age_ms = Number(max_age)
const end_at = Date.now() + Number(run)

const cache = createCache({ path, source: 'ours', max_bytes: 2 ** 24, report: (error) => note('error', error.message) })

function note(what: string, about: number | string = 0): void {
  appendFileSync(log, `${JSON.stringify({ what, about, pid: process.pid, at: Date.now() })}\n`)
}

// Waiting for a lock holds no process; this one has nothing else that would.
const holding = setInterval(() => undefined, 1000)
while (Date.now() < end_at) {
  const release = await cache.lock({ max_age_ms, stale_ms: 60_000, signal: new AbortController().signal })
  if (release === undefined) {
    const entry = await cache.fresh(max_age_ms)
    const isWhole = entry === undefined || createHash('sha1').update(bytesOf(entry)).digest('hex') === entry.sha1
    note(isWhole ? 'served' : 'error', entry?.sha1 ?? 'not fresh any more')
  } else {
    note('begin')
    await sleep(Math.random() * 10)
    if (Math.random() < Number(death)) {
      note('die')
      process.kill(process.pid, 'SIGKILL')
    }
    const bytes = randomBytes(20_000)
    const sha1 = createHash('sha1').update(bytes).digest('hex')
    if (!(await cache.write({ bytes, tag: undefined, version: sha1, sha1 }))) note('error', 'not written')
    note('end', cache.read()[0]?.asked.at ?? 0)
    release()
  }
  await sleep(Math.random() * 10)
}
await cache.close()
clearInterval(holding)
