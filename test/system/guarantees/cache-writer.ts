import { createHash } from 'node:crypto'
import { createCache } from '../../../lib/background/cache/disk.ts'

// A process that does nothing but write to the cache, one document after the other, until it is killed.
const path = process.argv[2] as string
const cache = createCache({
  path,
  source: 'ours',
  max_bytes: 2 ** 24,
  report: (error) => process.stderr.write(`${error.message}\n`),
})
// Nothing that the cache waits for holds a process.
setInterval(() => undefined, 1000)
const first = Number(cache.read()[0]?.version ?? 0) + 1
for (let version = first; ; version += 1) {
  const bytes = Buffer.alloc(60_000, `${version},`)
  await cache.write({ bytes, tag: `"${version}"`, version, sha1: createHash('sha1').update(bytes).digest('hex') })
  if (version === first + 1) process.send?.('writing')
}
