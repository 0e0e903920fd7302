import { createHash } from 'node:crypto'
import { createCache } from '../../lib/background/cache.ts'

// A process that does nothing but write to the cache, by turns two documents, until it is killed.
const path = process.argv[2] as string
const cache = createCache({ path, max_bytes: 2 ** 24, report: (error) => process.stderr.write(`${error.message}\n`) })
const documents = ['a', 'b'].map((letter) => {
  const bytes = Buffer.alloc(60_000, letter)
  return { bytes, tag: `"${letter}"`, version: letter, sha1: createHash('sha1').update(bytes).digest('hex') }
})
for (let turn = 0; ; turn += 1) {
  cache.write(documents[turn % 2] as (typeof documents)[number])
  if (turn === 1) process.send?.('writing')
}
