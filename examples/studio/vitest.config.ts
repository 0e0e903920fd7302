import { defineConfig } from 'vitest/config'

// Real servers, browsers and git on a machine that is busy with others: what fails once there is no verdict.
const shared = { pool: 'forks', testTimeout: 60_000, hookTimeout: 60_000, retry: process.env.CI ? 1 : 0 } as const

export default defineConfig({
  test: {
    projects: [
      { test: { ...shared, name: 'server', include: ['test/*.test.ts'] } },
      {
        test: {
          ...shared,
          name: 'web',
          include: ['test/web/*.test.ts'],
          globalSetup: 'test/web/prepare.ts',
          // A process that has loaded everything once takes one file after the other.
          isolate: false,
          testTimeout: 60_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
})
