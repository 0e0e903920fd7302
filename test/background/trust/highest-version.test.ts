import { expect, test, vi } from 'vitest'
import { rememberHighest } from '../../../lib/background/trust/highest-version.ts'

function start(kept?: number) {
  const cache = { highest_version: () => kept, note_version: vi.fn(async (_version: number) => undefined) }
  return { cache, highest: rememberHighest(cache) }
}

test('is the highest that this process accepted, or that any did', () => {
  const { highest } = start(5)
  expect(highest.get()).toBe(5)
  highest.note(7)
  highest.note(6)
  expect(highest.get()).toBe(7)
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
