import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createStore } from '../../lib/request/store.ts'

let now = 0

beforeEach(() => {
  // The cache below has taken hold of the real clock by now, and looks at it once a millisecond.
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  now = 1000
  vi.spyOn(performance, 'now').mockImplementation(() => now)
})
afterEach(() => {
  vi.useRealTimers()
})

function pass(seconds: number) {
  now += seconds * 1000
  vi.advanceTimersByTime(seconds * 1000)
}

describe('set and get', () => {
  it('keep any value under any key, undefined for what is not there', () => {
    const store = createStore()
    const value = { a: 1 }
    store.set('a', value)
    store.set('__proto__', 'own')
    expect(store.get('a')).toBe(value)
    expect(store.get('__proto__')).toBe('own')
    expect(store.get('constructor')).toBeUndefined()
    store.set('a', undefined)
    expect(store.get('a')).toBeUndefined()
  })

  it('forget the value when its time is over', () => {
    const store = createStore()
    store.set('a', 1, 2)
    pass(1.9)
    expect(store.get('a')).toBe(1)
    pass(0.2)
    expect(store.get('a')).toBeUndefined()
  })

  it('begin the time anew with each set, and end it with a set without one', () => {
    const store = createStore()
    store.set('a', 1, 2)
    pass(1.5)
    store.set('a', 2, 2)
    pass(1.5)
    expect(store.get('a')).toBe(2)
    store.set('a', 3)
    pass(1000)
    expect(store.get('a')).toBe(3)
  })

  it('do not lengthen the time by reading', () => {
    const store = createStore()
    store.set('a', 1, 2)
    for (let seconds = 0; seconds < 3; seconds += 1) {
      store.get('a')
      pass(1)
    }
    expect(store.get('a')).toBeUndefined()
  })

  it('take fractions of a second', () => {
    const store = createStore()
    store.set('a', 1, 0.01)
    pass(0.02)
    expect(store.get('a')).toBeUndefined()
  })

  it.each([0, -1, Number.NaN, Number.POSITIVE_INFINITY, '5', null])('refuse %s as a time', (ttl) => {
    const store = createStore()
    expect(() => store.set('a', 1, ttl as number)).toThrow(/ttl_seconds above 0, got/)
    expect(() => store.add('a', 1, ttl as number)).toThrow(TypeError)
    expect(() => store.incr('a', 1, 0, ttl as number)).toThrow(TypeError)
    expect(store.get('a')).toBeUndefined()
  })
})

describe('add', () => {
  it('keeps a value only where there is none', () => {
    const store = createStore()
    expect(store.add('a', 1)).toBe(true)
    expect(store.add('a', 2)).toBe(false)
    expect(store.get('a')).toBe(1)
  })

  it('keeps one again when the time of the first is over or it was deleted', () => {
    const store = createStore()
    store.add('a', 1, 1)
    pass(1.1)
    expect(store.add('a', 2)).toBe(true)
    store.delete('a')
    expect(store.add('a', 3)).toBe(true)
    expect(store.get('a')).toBe(3)
  })

  it('takes undefined for a value', () => {
    const store = createStore()
    expect(store.add('a', undefined)).toBe(true)
    expect(store.add('a', 1)).toBe(false)
  })
})

describe('incr', () => {
  it('counts from 0 by 1, or from and by what it is told', () => {
    const store = createStore()
    expect([store.incr('a'), store.incr('a'), store.incr('a', 10)]).toEqual([1, 2, 12])
    expect([store.incr('b', -2, 100), store.incr('b', -2, 100)]).toEqual([98, 96])
    expect(store.get('a')).toBe(12)
  })

  it('counts in a window that the first call begins', () => {
    const store = createStore()
    store.incr('a', 1, 0, 10)
    pass(9)
    expect(store.incr('a', 1, 0, 10)).toBe(2)
    pass(1.1)
    expect(store.incr('a', 1, 0, 10)).toBe(1)
  })

  it('refuses to count what is no number, and leaves it', () => {
    const store = createStore()
    store.set('a', 'text')
    expect(() => store.incr('a')).toThrow(/expected a number for "a", got string/)
    expect(() => store.incr('b', '1' as never)).toThrow(TypeError)
    expect(() => store.incr('b', 1, null as never)).toThrow(TypeError)
    expect(store.get('a')).toBe('text')
    expect(store.get('b')).toBeUndefined()
  })
})

describe('delete', () => {
  it('tells whether there was anything', () => {
    const store = createStore()
    store.set('a', 1)
    expect([store.delete('a'), store.delete('a')]).toEqual([true, false])
    expect(store.get('a')).toBeUndefined()
  })
})

describe('the store', () => {
  it('holds 10 000 keys, and lets those go first that were not used for longest', () => {
    const store = createStore()
    for (let index = 0; index < 10_000; index += 1) store.set(`key-${index}`, index)
    store.get('key-0')
    store.set('one more', 1)
    expect(store.get('key-0')).toBe(0)
    expect(store.get('key-1')).toBeUndefined()
    expect(store.get('key-2')).toBe(2)
  })

  it('cannot be changed by plugins', () => {
    expect(Object.isFrozen(createStore())).toBe(true)
  })
})
