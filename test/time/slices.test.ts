import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test, vi } from 'vitest'
import { runInSlices } from '../../lib/time/slices.ts'
import type { Steps } from '../../lib/time/steps.ts'

/** Keeps the thread for so many milliseconds. */
function work(duration_ms: number): void {
  const end = performance.now() + duration_ms
  while (performance.now() < end);
}

/** Steps of a millisecond each; tells what it did, and that it has cleaned up. */
function* steps(count: number, did: string[]): Steps<string> {
  try {
    for (let step = 1; step <= count; step += 1) {
      work(1)
      did.push(`step ${step}`)
      yield
    }
    return 'done'
  } finally {
    did.push('cleaned up')
  }
}

describe('work in slices', () => {
  test('returns what it makes', async () => {
    const did: string[] = []
    expect(await runInSlices(steps(3, did), new AbortController().signal)).toBe('done')
    expect(did).toEqual(['step 1', 'step 2', 'step 3', 'cleaned up'])
  })

  test('lets others have their turn', async () => {
    const did: string[] = []
    const running = runInSlices(steps(20, did), new AbortController().signal)
    const turns: number[] = []
    const turn = setInterval(() => turns.push(did.length), 1)
    await running
    clearInterval(turn)
    expect(new Set(turns).size).toBeGreaterThan(3)
  })

  test('goes on while the time is set by a test', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'setImmediate', 'Date'] })
    try {
      expect(await runInSlices(steps(5, []), new AbortController().signal)).toBe('done')
    } finally {
      vi.useRealTimers()
    }
  })

  test('rejects with what it throws', async () => {
    // biome-ignore lint/correctness/useYield: it does not come to that
    const failing = function* (): Steps<void> {
      throw new Error('no')
    }
    await expect(runInSlices(failing(), new AbortController().signal)).rejects.toThrow('no')
  })

  test('is laid down at once, and cleans up, when dynacode is closed between two slices', async () => {
    const closing = new AbortController()
    const did: string[] = []
    const running = runInSlices(steps(1000, did), closing.signal)
    await sleep(5)
    closing.abort()
    expect(did.at(-1)).toBe('cleaned up')
    const count = did.length
    await expect(running).rejects.toMatchObject({ code: 'ERR_DYNACODE_CLOSED' })
    expect(did).toHaveLength(count)
  })

  test('ends behind the step in which dynacode is closed', async () => {
    const closing = new AbortController()
    const did: string[] = []
    const running = runInSlices(
      (function* () {
        for (const step of steps(10, did)) {
          if (did.length === 2) closing.abort()
          yield step
        }
      })(),
      closing.signal,
    )
    await expect(running).rejects.toMatchObject({ code: 'ERR_DYNACODE_CLOSED' })
    expect(did).toEqual(['step 1', 'step 2', 'cleaned up'])
  })

  test('does not begin once dynacode is closed', async () => {
    const did: string[] = []
    await expect(runInSlices(steps(3, did), AbortSignal.abort())).rejects.toMatchObject({ code: 'ERR_DYNACODE_CLOSED' })
    expect(did).toEqual([])
  })
})
