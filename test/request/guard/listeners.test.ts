import { describe, expect, it } from 'vitest'
import { createListening } from '../../../lib/request/guard/listeners.ts'
import type { Run } from '../../../lib/request/run/record.ts'

const run = {} as Run

/** What contains listeners, and what it has kept from the process. */
function start() {
  const kept: unknown[] = []
  const contain = (_run: Run, callback: () => unknown) => {
    try {
      return callback()
    } catch (error) {
      kept.push(error)
      return undefined
    }
  }
  return { kept, ...createListening(contain, (_run, error) => void kept.push(error)) }
}

describe('a listener that throws', () => {
  it('as a function, called with the target as `this` and all that it is given', () => {
    const { kept, listen } = start()
    const seen: unknown[] = []
    const listener = function (this: unknown, ...given: unknown[]) {
      seen.push(this, ...given)
      throw 'broken'
    }
    const guarded = listen(run, listener)
    expect(guarded.call('target', 1, 2)).toBeUndefined()
    expect([seen, kept]).toEqual([['target', 1, 2], ['broken']])
  })

  it('as an object with handleEvent, whose method is asked for at each event', () => {
    const { kept, listen } = start()
    const handler = {
      handleEvent(event: unknown): void {
        throw event
      },
    }
    const guarded = listen(run, handler)
    expect(guarded).not.toBe(handler)
    guarded.handleEvent('first')
    handler.handleEvent = () => {
      throw 'second'
    }
    guarded.handleEvent('any')
    expect(kept).toEqual(['first', 'second'])
  })

  it('later, by its promise', async () => {
    const { kept, listen } = start()
    await listen(run, async () => Promise.reject('late'))()
    const handler = { handleEvent: async () => Promise.reject('later') }
    await listen(run, handler).handleEvent()
    expect(kept).toEqual(['late', 'later'])
  })
})

describe('what a listener was replaced by', () => {
  it('is the same each time, and is found without a run', () => {
    const { listen } = start()
    for (const listener of [() => 1, { handleEvent: () => 1 }]) {
      const guarded = listen(run, listener)
      expect(listen(run, listener)).toBe(guarded)
      expect(listen(null, listener)).toBe(guarded)
    }
  })

  it.each([[undefined], [null], ['text'], [1], [{}], [{ handleEvent: 1 }]])('is itself for %j', (listener) => {
    const { listen } = start()
    expect(listen(run, listener)).toBe(listener)
    expect(listen(null, listener)).toBe(listener)
  })
})
