import { join } from 'node:path'
import { defineConfig } from 'vitest/config'

const LIB = join(import.meta.dirname, 'lib')

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
    include: ['test/**/*.test.ts', 'examples/**/*.test.ts'],
    exclude: ['test/bench/**', 'examples/studio/**', '**/node_modules/**'],
    environment: 'node',
    // One process a file: a leaked timer, socket or global of one file can't reach the next.
    pool: 'forks',
    testTimeout: 10_000,
    hookTimeout: 10_000,
    // Real processes and sockets on a machine that is busy with others: a time-out there is no verdict.
    retry: process.env.CI ? 2 : 0,
    restoreMocks: true,
    unstubGlobals: true,
    unstubEnvs: true,
    // .ci/run reads its closing line from the JSON report.
    reporters: process.env.CI ? ['default', ['json', { outputFile: '.reports/vitest.json' }]] : ['default'],
  },
})
