import { expect, test, vi } from 'vitest'
import { createRunObservers } from '../../lib/events/run-observers.ts'

test('observers come and go, each by itself', () => {
  const observers = createRunObservers()
  const [first, second] = [vi.fn(), vi.fn()]
  const removeFirst = observers.add(first)
  observers.add(second)
  removeFirst()
  removeFirst()
  expect(observers.all()).toEqual([second])
})

test('after close there are none, and none can be added', () => {
  const observers = createRunObservers()
  const remove = observers.add(vi.fn())
  observers.close()
  expect(observers.all()).toEqual([])
  observers.add(vi.fn())
  remove()
  expect(observers.all()).toEqual([])
})
