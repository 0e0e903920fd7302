import { defineConfig } from 'vitest/config'

/** Deadlines only end what hangs: real servers, browsers and git take long on a machine that is busy with others. */
const shared = {
  pool: 'forks',
  maxWorkers: 2,
  // A process that has loaded everything once takes one file after the other.
  isolate: false,
  testTimeout: 120_000,
  hookTimeout: 120_000,
} as const

export default defineConfig({
  test: {
    // .ci/run sums up all runs of a check.
    reporters: process.env.CI
      ? ['default', ['json', { outputFile: `../../.reports/vitest-${process.pid}.json` }]]
      : ['default'],
    projects: [
      {
        test: {
          ...shared,
          name: 'server',
          include: ['test/*.test.ts', 'test/attacks/*.test.ts'],
          globalSetup: 'test/empty-database.ts',
        },
      },
      { test: { ...shared, name: 'web', include: ['test/web/*.test.ts'], globalSetup: 'test/web/prepare.ts' } },
    ],
  },
})
