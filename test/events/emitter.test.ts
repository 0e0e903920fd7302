import { setImmediate } from 'node:timers/promises'
import { describe, expect, test, vi } from 'vitest'
import { createEvents } from '../../lib/events/emitter.ts'
import { CALLBACKS, type EventName, type EventTable } from '../../lib/events/table.ts'

const NAMES = Object.keys(CALLBACKS) as EventName[]
const anything = () => ({}) as never

describe('emitting', () => {
  test('stamps each payload with the time, and freezes it', () => {
    const { emitter, emit } = createEvents({})
    const listener = vi.fn()
    emitter.on('bg_fetch_api_success', listener)
    const payload = { status: 200, bytes: 17, duration_ms: 3 }
    const before = Date.now()
    emit('bg_fetch_api_success', { ...payload })
    const [seen] = listener.mock.calls[0] as [{ at: number }]
    expect(seen).toEqual({ ...payload, at: expect.any(Number) })
    expect(seen.at).toBeGreaterThanOrEqual(before)
    expect(seen.at).toBeLessThanOrEqual(Date.now())
    expect(Object.isFrozen(seen)).toBe(true)
  })

  test.each(NAMES)('%s reaches its listeners and its callback', (name) => {
    const callback = vi.fn()
    const listener = vi.fn()
    const { emitter, emit } = createEvents({ [CALLBACKS[name]]: callback })
    emitter.on(name, listener)
    emit(name, anything())
    expect(callback).toHaveBeenCalledTimes(1)
    expect(listener.mock.calls).toEqual(callback.mock.calls)
  })

  test('calls the callback first, then the listeners in their order', () => {
    const order: string[] = []
    const { emitter, emit } = createEvents({ on_update: () => order.push('callback') })
    emitter.on('bg_updated_plugins', () => order.push('first'))
    emitter.on('bg_updated_plugins', () => order.push('second'))
    emit('bg_updated_plugins', anything())
    expect(order).toEqual(['callback', 'first', 'second'])
  })

  test('calls a listener of once() once', () => {
    const { emitter, emit, has } = createEvents({})
    const listener = vi.fn()
    emitter.once('bg_cache_hit', listener)
    emit('bg_cache_hit', {})
    emit('bg_cache_hit', {})
    expect(listener).toHaveBeenCalledTimes(1)
    expect(has('bg_cache_hit')).toBe(false)
  })

  test('is not disturbed by listeners that come or go meanwhile', () => {
    const { emitter, emit } = createEvents({})
    const late = vi.fn()
    const second = vi.fn()
    emitter.on('bg_cache_hit', () => {
      emitter.off('bg_cache_hit', second)
      emitter.on('bg_cache_hit', late)
    })
    emitter.on('bg_cache_hit', second)
    emit('bg_cache_hit', {})
    expect(second).toHaveBeenCalledTimes(1)
    expect(late).not.toHaveBeenCalled()
  })

  test('allows any number of listeners without a warning', () => {
    const warning = vi.spyOn(process, 'emitWarning')
    const { emitter } = createEvents({})
    for (let count = 0; count < 50; count += 1) emitter.on('on_error', () => undefined)
    expect(warning).not.toHaveBeenCalled()
  })
})

describe('has()', () => {
  test('tells whether anybody listens', () => {
    const { emitter, has } = createEvents({ on_fail: () => undefined })
    expect([has('rt_plugins_error'), has('rt_plugins_done')]).toEqual([true, false])
    const listener = () => undefined
    emitter.on('rt_plugins_done', listener)
    expect(has('rt_plugins_done')).toBe(true)
    emitter.off('rt_plugins_done', listener)
    expect(has('rt_plugins_done')).toBe(false)
  })
})

describe('a listener that fails', () => {
  const boom = new Error('boom')

  test.each([
    [
      'throws',
      () => {
        throw boom
      },
    ],
    ['rejects', () => Promise.reject(boom)],
  ])('and %s harms neither the caller nor the others, and is reported', async (_, failing) => {
    const other = vi.fn()
    const on_error = vi.fn()
    const { emitter, emit } = createEvents({ on_update: failing, on_error })
    emitter.on('bg_updated_plugins', other)
    expect(() => emit('bg_updated_plugins', anything())).not.toThrow()
    await setImmediate()
    expect(other).toHaveBeenCalledTimes(1)
    expect(on_error.mock.calls).toEqual([[{ section: 'listener', error: boom, at: expect.any(Number) }]])
  })

  test.each([
    [
      'throws',
      () => {
        throw boom
      },
    ],
    ['rejects', () => Promise.reject(boom)],
  ])('of on_error itself and %s is not called again for that', async (_, failing) => {
    const unhandled = vi.fn()
    process.on('unhandledRejection', unhandled)
    try {
      const on_error = vi.fn(failing)
      const { emit } = createEvents({ on_error })
      emit('on_error', { section: 'document', error: boom })
      await setImmediate()
      await setImmediate()
      expect(on_error).toHaveBeenCalledTimes(1)
      expect(unhandled).not.toHaveBeenCalled()
    } finally {
      process.off('unhandledRejection', unhandled)
    }
  })
})

describe('after close()', () => {
  test('nothing is emitted any more, not even by a listener of the event under way', async () => {
    const events = createEvents({})
    const seen: string[] = []
    events.emitter.on('bg_cache_hit', () => events.close())
    events.emitter.on('bg_cache_hit', () => {
      seen.push('second listener of the same event')
      events.emit('bg_cache_miss', {})
    })
    events.emitter.on('bg_cache_miss', () => seen.push('bg_cache_miss'))
    events.emit('bg_cache_hit', {})
    events.emit('bg_cache_hit', {})
    expect(seen).toEqual([])
  })

  test('a listener that rejects late is reported to nobody', async () => {
    const on_error = vi.fn()
    const events = createEvents({
      on_update: async () => {
        await setImmediate()
        throw new Error('late')
      },
      on_error,
    })
    events.emit('bg_updated_plugins', anything())
    events.close()
    await setImmediate()
    await setImmediate()
    expect(on_error).not.toHaveBeenCalled()
  })
})

test('every event has a callback whose name begins with on_', () => {
  const table: Record<keyof EventTable, string> = CALLBACKS
  expect(Object.values(table).filter((callback) => !callback.startsWith('on_'))).toEqual([])
})

describe('an event that there is not', () => {
  test('is reported once, with the one that was meant', () => {
    const failed = vi.fn()
    const { emitter } = createEvents({ on_error: failed })
    for (let count = 0; count < 2; count += 1) {
      // @ts-expect-error a misspelled name
      emitter.on('rt_plugins_erorr', () => undefined)
    }
    const message = 'unknown event "rt_plugins_erorr". Did you mean `rt_plugins_error`?'
    expect(failed.mock.calls).toMatchObject([
      [{ section: 'listener', error: { code: 'ERR_DYNACODE_OPTION', message } }],
    ])
  })

  test('is none of those that each emitter has', () => {
    const failed = vi.fn()
    const { emitter } = createEvents({ on_error: failed })
    for (const name of ['error', 'newListener', 'removeListener', Symbol('own'), ...NAMES]) {
      ;(emitter as import('node:events').EventEmitter).on(name, () => undefined)
    }
    expect(failed).not.toHaveBeenCalled()
  })
})
