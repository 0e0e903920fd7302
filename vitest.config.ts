import { readdirSync, readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { defineConfig } from 'vitest/config'

const LIB = join(import.meta.dirname, 'lib')

const FILES = ['test', 'examples/cookbook']
  .flatMap((folder) => readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((file) => `${folder}/${file}`))
  .filter((file) => file.endsWith('.test.ts'))
const withText = (text: RegExp) => FILES.filter((file) => text.test(readFileSync(file, 'utf8')))
/** Tests that replace modules, clocks or globals: what they put in their place would be there for the files after them. */
const MOCKING = withText(/\bvi\.(mock|useFakeTimers|stubGlobal|setSystemTime)\(/)
/** Those with properties that `npm test` tries a bounded number of times. */
const WITH_PROPERTIES = withText(/\btries\(/)
const UNIT = ['test/**/*.test.ts', 'examples/cookbook/**/*.test.ts']
const OTHER_KINDS = ['test/{system,chaos}/**', 'test/soak/soak.test.ts']

/** Tests wait much of their time, for timers and disks: so many files at once keep the processors busy. */
const WORKERS = availableParallelism() + 1

/** Deadlines only end what hangs: on a machine that is busy with others, a test takes many times as long. */
const kind = (
  name: string,
  seconds: number,
  files: {
    include: string[]
    exclude?: string[]
    isolate?: boolean
    maxWorkers?: number
    env?: Record<string, string>
  },
) => ({
  extends: true as const,
  test: { name, ...files, testTimeout: seconds * 1000, hookTimeout: seconds * 1000 },
})

export default defineConfig({
  // Examples import the package by its name; tests of them run the sources.
  resolve: {
    alias: [
      { find: /^dynacode$/, replacement: join(LIB, 'index.ts') },
      { find: /^dynacode\/(redis|memcached)$/, replacement: join(LIB, 'sources', '$1.ts') },
      { find: /^dynacode\/metrics$/, replacement: join(LIB, 'observability', 'metrics', 'index.ts') },
      { find: /^dynacode\/(testing|tools|plugin)$/, replacement: join(LIB, '$1', 'index.ts') },
    ],
  },
  test: {
    environment: 'node',
    // What dynacode says on the console is of interest where a test fails.
    silent: 'passed-only',
    pool: 'forks',
    // A process that has loaded everything once takes one file after the other.
    isolate: false,
    restoreMocks: true,
    unstubGlobals: true,
    unstubEnvs: true,
    setupFiles: ['test/fixtures/patience.ts'],
    expect: { poll: { timeout: 60_000 } },
    // The kinds of tests; CONTRIBUTING.md says which one to write.
    projects: [
      kind('unit', 120, { include: UNIT, exclude: [...OTHER_KINDS, ...MOCKING], maxWorkers: WORKERS }),
      kind('unit-mocking', 120, { include: MOCKING, exclude: OTHER_KINDS, isolate: true, maxWorkers: WORKERS }),
      // With other values each time.
      kind('properties', 1800, {
        include: WITH_PROPERTIES,
        exclude: OTHER_KINDS,
        isolate: true,
        maxWorkers: WORKERS,
        env: { DYNACODE_TEST_LONG: '1' },
      }),
      kind('system', 600, { include: ['test/system/**/*.test.ts'], maxWorkers: availableParallelism() }),
      kind('chaos', 600, { include: ['test/chaos/*.test.ts'] }),
      kind('soak', 300, { include: ['test/soak/soak.test.ts'] }),
    ],
    // .ci/run sums up all runs of a check; each has a report of its own.
    reporters: process.env.CI
      ? ['default', ['json', { outputFile: `.reports/vitest-${process.pid}.json` }]]
      : ['default'],
  },
})
