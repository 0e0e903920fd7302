import { readdirSync, readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import type { Plugin } from 'vite'
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
    globalSetup?: string
  },
) => ({
  extends: true as const,
  test: { name, ...files, testTimeout: seconds * 1000, hookTimeout: seconds * 1000 },
})

/**
 * Per cent of the lines and branches of each room that `npm test` passes through, at least. Not to be lowered. What has
 * servers or processes of its own (Redis, Memcached, the watchdog) is covered by test/system, which does not count here.
 */
const COVERED: Readonly<Record<string, readonly [lines: number, branches: number]>> = {
  'lib/*.ts': [99, 94],
  'lib/background/*.ts': [99, 93],
  'lib/background/cache/*.ts': [97, 93],
  'lib/background/compiling/*.ts': [99, 95],
  'lib/background/reading/*.ts': [99, 96],
  'lib/background/trust/*.ts': [99, 97],
  'lib/cli/*.ts': [93, 78],
  'lib/control/*.ts': [99, 95],
  'lib/events/*.ts': [99, 98],
  'lib/matching/*.ts': [99, 96],
  'lib/observability/*.ts': [99, 95],
  'lib/observability/log/*.ts': [99, 95],
  'lib/observability/metrics/*.ts': [99, 90],
  'lib/observability/report/*.ts': [98, 91],
  'lib/plugin/*.ts': [98, 93],
  'lib/request/*.ts': [98, 91],
  'lib/request/canary/*.ts': [98, 92],
  'lib/request/debug/*.ts': [97, 98],
  'lib/request/guard/*.ts': [83, 78],
  'lib/request/response/*.ts': [97, 90],
  'lib/request/rollout/*.ts': [98, 92],
  'lib/request/run/*.ts': [99, 64],
  'lib/sources/*.ts': [36, 32],
  'lib/sources/folder/*.ts': [99, 91],
  'lib/sources/http/*.ts': [99, 95],
  'lib/testing/*.ts': [98, 92],
  'lib/time/*.ts': [98, 89],
  'lib/tools/*.ts': [96, 81],
  'lib/tools/lint/*.ts': [95, 90],
  'lib/validation/*.ts': [99, 97],
}

/** A change to one file, by which test/mutation/run.ts sees whether tests notice it. */
const MUTANT = process.env.DYNACODE_TEST_MUTANT
const mutate = (mutant: { file: string; from: number; to: number; text: string }): Plugin => ({
  name: 'mutate',
  enforce: 'pre',
  transform: (code, id) =>
    id === mutant.file ? code.slice(0, mutant.from) + mutant.text + code.slice(mutant.to) : null,
})

export default defineConfig({
  plugins: MUTANT ? [mutate(JSON.parse(MUTANT))] : [],
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
    coverage: {
      provider: 'v8',
      include: ['lib/**/*.ts'],
      // What loads and is asked in processes of its own is tested in test/system.
      exclude: ['lib/cli/main.ts', 'lib/plugin/phases/**'],
      reportsDirectory: 'coverage',
      reporter: ['text-summary', 'json-summary'],
      thresholds: Object.fromEntries(
        Object.entries(COVERED).map(([files, [lines, branches]]) => [files, { lines, branches }]),
      ),
    },
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
      kind('system', 600, {
        include: ['test/system/**/*.test.ts'],
        maxWorkers: availableParallelism(),
        globalSetup: 'test/system/built.ts',
        // Examples find the package by its name there, and not its sources: their processes start in a third of the time.
        env: { TSX_TSCONFIG_PATH: join(import.meta.dirname, 'test', 'system', 'tsconfig.json') },
      }),
      kind('chaos', 600, { include: ['test/chaos/*.test.ts'] }),
      kind('soak', 300, { include: ['test/soak/soak.test.ts'] }),
    ],
    // .ci/run sums up all runs of a check; each has a report of its own.
    reporters: process.env.CI
      ? ['default', ['json', { outputFile: `.reports/vitest-${process.pid}.json` }]]
      : ['default'],
  },
})
