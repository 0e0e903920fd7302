import { join } from 'node:path'
import { defineConfig } from 'vitest/config'

export default defineConfig({
  // Examples import the package by its name; tests of them run the sources.
  resolve: { alias: { dynacode: join(import.meta.dirname, 'lib', 'index.ts') } },
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/bench/**'],
    environment: 'node',
    // One process a file: a leaked timer, socket or global of one file can't reach the next.
    pool: 'forks',
    testTimeout: 10_000,
    hookTimeout: 10_000,
    restoreMocks: true,
    unstubGlobals: true,
    unstubEnvs: true,
    // .ci/run reads its closing line from the JSON report.
    reporters: process.env.CI ? ['default', ['json', { outputFile: '.reports/vitest.json' }]] : ['default'],
  },
})
