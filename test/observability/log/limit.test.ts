import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { createLogLimit } from '../../../lib/observability/log/limit.ts'

// It goes as the fake timers do.
vi.mock('../../../lib/time/steady-clock.ts', () => ({ steadyNow: () => performance.now() }))

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['performance'] })
})

afterEach(() => {
  vi.useRealTimers()
})

const plugin = (name: string) => ({ name, domain: '*', phase: 'access' }) as const

describe('the limit of a log', () => {
  test('lets ten lines about a plugin through, then one a second, and counts the others', () => {
    const { admit } = createLogLimit()
    const first = Array.from({ length: 15 }, () => admit('failed', plugin('a')))
    expect(first).toEqual([...Array(10).fill(0), ...Array(5).fill(undefined)])
    vi.advanceTimersByTime(1000)
    expect([admit('failed', plugin('a')), admit('failed', plugin('a'))]).toEqual([5, undefined])
    vi.advanceTimersByTime(60_000)
    expect([admit('failed', plugin('a')), admit('failed', plugin('a'))]).toEqual([1, 0])
  })

  test('tells kinds and plugins apart', () => {
    const { admit } = createLogLimit()
    for (let count = 0; count < 20; count += 1) admit('failed', plugin('a'))
    expect(admit('failed', plugin('b'))).toBe(0)
    expect(admit('other', plugin('a'))).toBe(0)
    expect(admit('failed', undefined)).toBe(0)
  })

  test('lets a hundred lines of one kind through at once, about however many plugins, and then twenty a second', () => {
    const { admit } = createLogLimit()
    const count = () => {
      let admitted = 0
      for (let index = 0; index < 5000; index += 1)
        if (admit('failed', plugin(`p${index}`)) !== undefined) admitted += 1
      return admitted
    }
    expect(count()).toBe(100)
    vi.advanceTimersByTime(1000)
    expect(count()).toBe(20)
    expect(admit('refreshed', undefined)).toBe(0)
  })
})
