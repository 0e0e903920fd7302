import { describe, expect, test } from 'vitest'
import { runChaos } from './chaos.ts'

// The short form of `npm run test:chaos`, which takes any seed and as long as one likes.
describe('under an API, a disk and a process that fail again and again', () => {
  test.each([
    ['signed documents and one cache for two processes', 20],
    ['unsigned documents and a cache for each', 21],
  ])('no request fails, no version is lost, and the newest is live in the end: %s', async (_, seed) => {
    const report = await runChaos({ seed, seconds: 7 })
    expect(report).toMatchObject({ seed, violations: [], requests: { failed: 0 } })
    // It was what it calls itself.
    const { requests, versions, restarts, api, disk_faults, events } = report
    expect(requests.answered).toBeGreaterThan(300)
    expect(versions.live_at_the_end).toBe(versions.published)
    expect(versions.seen).toBeGreaterThan(3)
    expect(restarts.all).toBeGreaterThan(1)
    expect(Object.keys(api).length).toBeGreaterThan(8)
    expect(Object.keys(disk_faults).length).toBeGreaterThan(0)
    expect(events.bg_didnt_update_plugins).toBeGreaterThan(5)
  })
})
