import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { createReadiness } from '../../lib/control/readiness.ts'
import { DynacodeError } from '../../lib/errors.ts'

const CLOSED = new DynacodeError('ERR_DYNACODE_CLOSED', 'dynacode was closed')
const failing = (promise: Promise<unknown>) =>
  promise.then(
    () => undefined,
    (error: unknown) => error,
  )

beforeEach(() => {
  vi.useFakeTimers()
})

afterEach(() => {
  vi.useRealTimers()
})

describe('waiting', () => {
  test('ends for everybody when a document is live', async () => {
    const gate = createReadiness()
    const waiting = [gate.wait(1000), gate.wait(5000), gate.wait(Number.POSITIVE_INFINITY)]
    gate.settle('network')
    expect(await Promise.all(waiting)).toEqual([{ from: 'network' }, { from: 'network' }, { from: 'network' }])
    expect(vi.getTimerCount()).toBe(0)
  })

  test('ends at once when one is live already', async () => {
    const gate = createReadiness()
    gate.settle('network')
    expect(await gate.wait(0)).toEqual({ from: 'network' })
    expect(vi.getTimerCount()).toBe(0)
  })

  test('ends with an error when its time is over, which says why', async () => {
    const gate = createReadiness()
    const why = new Error('connect ECONNREFUSED')
    const waiting = failing(gate.wait(1000, () => why))
    await vi.advanceTimersByTimeAsync(1000)
    expect(await waiting).toMatchObject({
      code: 'ERR_DYNACODE_NOT_READY',
      message: 'no document is live after 1000 ms: connect ECONNREFUSED',
      cause: why,
    })
  })

  test('that gave up does not hinder those that wait longer', async () => {
    const gate = createReadiness()
    const short = failing(gate.wait(10))
    const long = gate.wait(1000)
    await vi.advanceTimersByTimeAsync(10)
    expect(await short).toMatchObject({ message: 'no document is live after 10 ms' })
    gate.settle('network')
    expect(await long).toEqual({ from: 'network' })
  })

  test.each([Number.POSITIVE_INFINITY, 2 ** 31, 1e12])(
    'for %s ms is no busy loop, and no early end',
    async (timeout_ms) => {
      const gate = createReadiness()
      let settled = false
      const waiting = gate.wait(timeout_ms).finally(() => {
        settled = true
      })
      await vi.advanceTimersByTimeAsync(100_000)
      expect(settled).toBe(false)
      gate.settle('network')
      expect(await waiting).toEqual({ from: 'network' })
    },
  )

  test.each([
    [-1, '-1'],
    [Number.NaN, 'NaN'],
    ['10', '"10"'],
    [null, 'null'],
  ])('for %s ms is refused', async (timeout_ms, came) => {
    expect(await failing(createReadiness().wait(timeout_ms as number))).toMatchObject({
      code: 'ERR_DYNACODE_OPTION',
      message: `ready(timeout_ms): expected a number of at least 0, got ${came}`,
    })
  })
})

describe('closing', () => {
  test('ends every wait, and refuses later ones', async () => {
    const gate = createReadiness()
    const waiting = failing(gate.wait(1000))
    gate.close(CLOSED)
    expect(await waiting).toBe(CLOSED)
    expect(await failing(gate.wait(1000))).toBe(CLOSED)
    expect(vi.getTimerCount()).toBe(0)
  })

  test('does not take back that a document was live', async () => {
    const gate = createReadiness()
    gate.settle('network')
    gate.close(CLOSED)
    expect(await gate.wait(0)).toEqual({ from: 'network' })
  })
})

test('where the first document came from is not changed by later ones', async () => {
  const gate = createReadiness()
  gate.settle('cache')
  gate.settle('network')
  expect(await gate.wait(0)).toEqual({ from: 'cache' })
})
