import { defineConfig } from 'vitest/config'

const shared = { pool: 'forks', testTimeout: 60_000, hookTimeout: 60_000 } as const

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
