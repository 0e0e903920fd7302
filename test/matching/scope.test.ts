import { describe, expect, test, vi } from 'vitest'
import { createScopeTest, type Scope } from '../../lib/matching/scope.ts'
import { createContext } from '../fixtures/context.ts'

const NOTHING: Scope = {
  enabled: true,
  when: undefined,
  share: undefined,
  stop_when: undefined,
  starts_at: undefined,
  expires_at: undefined,
}
const build = (fields: Partial<Scope>) => createScopeTest({ ...NOTHING, ...fields }, () => '0.5')
const at = (time: string) => vi.setSystemTime(Date.parse(time))
const ctx = createContext({ url: '/a' })

describe('a scope', () => {
  test('without anything in it costs nothing at request time', () => {
    expect(build({})).toBeNull()
  })

  test('asks for all that it has: times, conditions and share', () => {
    vi.useFakeTimers({ now: 1000 })
    const share = { by: 'query:user', from: 0, to: 50, salt: 's' }
    const applies = build({ starts_at: 1000, expires_at: 2000, when: { methods: 'GET' }, share })
    const request = (user: number, method = 'GET') => createContext({ method, url: `/?user=${user}` })
    const members = Array.from({ length: 200 }, (_, user) => user).filter((user) => applies?.(request(user)))
    expect(members.length).toBeGreaterThan(60)
    expect(members.length).toBeLessThan(140)
    expect(members.some((user) => applies?.(request(user, 'POST')))).toBe(false)
    vi.setSystemTime(2000)
    expect(members.some((user) => applies?.(request(user)))).toBe(false)
    vi.useRealTimers()
  })

  test('begins at its start and ends before its end, as the clock stands when it is asked', () => {
    vi.useFakeTimers()
    const starts_at = Date.parse('2030-01-01T00:00:00Z')
    const expires_at = Date.parse('2030-01-01T01:00:00+01:00') + 5000
    const applies = build({ starts_at, expires_at })
    const answers = [
      '2029-12-31T23:59:59.999Z',
      '2030-01-01T00:00:00.000Z',
      '2030-01-01T00:00:04.999Z',
      '2030-01-01T00:00:05.000Z',
      '2040-01-01T00:00:00.000Z',
      // A clock that was wrong, and is set back.
      '2030-01-01T00:00:01.000Z',
    ].map((time) => {
      at(time)
      return applies?.(ctx)
    })
    expect(answers).toEqual([false, true, true, false, false, true])
    vi.useRealTimers()
  })

  test.each([
    [{ starts_at: 10 }, [false, true]],
    [{ expires_at: 10 }, [true, false]],
    // Never.
    [{ starts_at: 20, expires_at: 10 }, [false, false]],
    [{ starts_at: 10, expires_at: 10 }, [false, false]],
  ])('%j: at 9 and 10: %j', (times, expected) => {
    vi.useFakeTimers({ now: 9 })
    const applies = build(times)
    const before = applies?.(ctx)
    vi.setSystemTime(10)
    expect([before, applies?.(ctx)]).toEqual(expected)
    vi.useRealTimers()
  })
})
