import { expect, test, vi } from 'vitest'
import { rememberHighest } from '../../../lib/background/trust/highest-version.ts'

function start(kept?: number) {
  const cache = { highest_version: () => kept, note_version: vi.fn(async (_version: number) => undefined) }
  return { cache, highest: rememberHighest(cache) }
}

test('is the highest that this process has noted, in whatever order', () => {
  const highest = rememberHighest(undefined)
  expect(highest.get()).toBeUndefined()
  for (const version of [3, 5, 4]) highest.note(version)
  expect(highest.get()).toBe(5)
})

test.each([
  [7, 5, 7],
  [5, 7, 7],
  [undefined, 5, 5],
  [5, undefined, 5],
])('of %s that is kept and %s that was noted is %s', (kept, noted, version) => {
  const { highest } = start(kept)
  if (noted !== undefined) highest.note(noted)
  expect(highest.get()).toBe(version)
})

test('of what is on the disk holds for others: not of what was accepted since, and is still to be written', async () => {
  const { cache, highest } = start()
  highest.note(1)
  highest.note(2)
  await highest.persist(1)
  expect(cache.note_version.mock.calls).toEqual([[1]])
})

test('is kept of signed documents alone', async () => {
  const { cache, highest } = start()
  await highest.persist(1)
  expect(cache.note_version).not.toHaveBeenCalled()
})
