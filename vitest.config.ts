import { join } from 'node:path'
import { defineConfig } from 'vitest/config'

const LIB = join(import.meta.dirname, 'lib')

/** Deadlines only end what hangs: on a machine that is busy with others, a test takes many times as long. */
const kind = (name: string, include: string[], seconds: number, exclude: string[] = []) => ({
  extends: true as const,
  test: {
    name,
    include,
    exclude: [...exclude, '**/node_modules/**'],
    testTimeout: seconds * 1000,
    hookTimeout: seconds * 1000,
  },
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
    // One process a file: a leaked timer, socket or global of one file can't reach the next.
    pool: 'forks',
    restoreMocks: true,
    unstubGlobals: true,
    unstubEnvs: true,
    // The kinds of tests; CONTRIBUTING.md says which one to write.
    projects: [
      kind('unit', ['test/**/*.test.ts', 'examples/**/*.test.ts'], 60, [
        'test/{system,chaos,bench}/**',
        'test/soak/soak.test.ts',
        'examples/studio/**',
      ]),
      kind('system', ['test/system/**/*.test.ts'], 120),
      kind('chaos', ['test/chaos/*.test.ts'], 120),
      kind('soak', ['test/soak/soak.test.ts'], 120),
    ],
    // .ci/run sums up all runs of a check; each has a report of its own.
    reporters: process.env.CI
      ? ['default', ['json', { outputFile: `.reports/vitest-${process.pid}.json` }]]
      : ['default'],
  },
})
