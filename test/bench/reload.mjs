// What a reload of many plugins costs, and what the rest of the process notices of it: wall time, time of the main thread,
// the longest stall of its event loop beside that without a reload, and requests during it beside requests without it.
//   npm run bench:reload -- [plugins, 10000 unless given] [bytes of code of each, 950 unless given]
//   npm run bench:reload -- 10000 950 --cached          documents are written to a cache, too
import { parseArgs } from 'node:util'
import { measureReloads } from './reload/measure.mjs'
import { quantile } from './statistics.mjs'

const { values, positionals } = parseArgs({ allowPositionals: true, options: { cached: { type: 'boolean' } } })
const [count = 10_000, size = 950] = positionals.map(Number)

const { bytes, reloads } = await measureReloads({ count, size, ...values })
const round = (value) => Number(value.toFixed(1))
process.stdout.write(`${count} plugins of ${size} bytes, ${bytes} bytes in all\n`)
console.table(
  reloads.map(({ requests_ms, wall_ms, main_thread_ms, stall_ms, ...rest }) => ({
    ...rest,
    wall_ms: round(wall_ms),
    main_thread_ms: round(main_thread_ms),
    stall_ms: round(stall_ms),
    p99_ms:
      requests_ms.length === 0
        ? Number.NaN
        : round(
            quantile(
              requests_ms.toSorted((a, b) => a - b),
              0.99,
            ),
          ),
  })),
)
