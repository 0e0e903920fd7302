import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { DynacodeError } from '../../../lib/errors.ts'
import { type Reporter, type ReportOccasion, startReporter } from '../../../lib/observability/report/schedule.ts'
import type { SendFailure } from '../../../lib/observability/report/sender.ts'

const INTERVAL_MS = 10_000
/** Within this time, and a share of the interval that is up to chance, changes are one report. */
const BATCH_MS = 100
const SPREAD_MS = 1000
const GONE: SendFailure = { error: new DynacodeError('ERR_DYNACODE_REPORT', 'gone'), retry_after_ms: undefined }

describe('reports', () => {
  /** What chance has them wait, of what it may. */
  let chance = 0
  let sent: (readonly ReportOccasion[])[] = []
  let answer: () => Promise<SendFailure | undefined>
  let reporter: Reporter
  const failed = vi.fn()

  const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms)

  beforeEach(async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    vi.spyOn(Math, 'random').mockImplementation(() => chance)
    chance = 0
    sent = []
    answer = async () => undefined
    failed.mockClear()
    reporter = startReporter({
      sender: { send: () => answer(), close: async () => undefined },
      write: (occasions) => {
        sent.push(occasions)
        return ''
      },
      interval_ms: INTERVAL_MS,
      timeout_ms: 1000,
      failed,
    })
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  test('have whatever came within a moment in one', async () => {
    reporter.note('update')
    for (let times = 0; times < 100; times += 1) reporter.note('switch')
    await pass(BATCH_MS - 1)
    expect(sent).toEqual([])
    await pass(1)
    expect(sent).toEqual([['start', 'update', 'switch']])
    reporter.note('breaker')
    reporter.note('stale')
    await pass(BATCH_MS)
    expect(sent.slice(1)).toEqual([['breaker', 'stale']])
  })

  test('wait for a share of the interval that chance says: a whole fleet sees the same changes', async () => {
    await pass(BATCH_MS)
    chance = 0.5
    reporter.note('update')
    await pass(BATCH_MS + SPREAD_MS / 2 - 1)
    expect(sent).toEqual([['start']])
    await pass(1)
    expect(sent).toEqual([['start'], ['update']])
  })

  test('come at every interval where nothing changes, and chance spreads these as well', async () => {
    await pass(BATCH_MS)
    await pass(INTERVAL_MS - 1)
    expect(sent).toEqual([['start']])
    chance = 0.5
    await pass(1)
    expect(sent).toEqual([['start'], ['interval']])
    await pass(INTERVAL_MS + SPREAD_MS / 2 - 1)
    expect(sent).toHaveLength(2)
    await pass(1)
    expect(sent).toEqual([['start'], ['interval'], ['interval']])
  })

  test('are one at a time: what changes meanwhile is in the next', async () => {
    let done: (failure?: SendFailure) => void = () => undefined
    answer = () =>
      new Promise((resolve) => {
        done = resolve
      })
    await pass(BATCH_MS)
    reporter.note('update')
    await pass(2 * INTERVAL_MS)
    expect(sent).toEqual([['start']])
    done()
    await pass(BATCH_MS)
    expect(sent).toEqual([['start'], ['update']])
  })

  test('that nobody takes are told of once, wait longer each time, and lose no occasion', async () => {
    chance = 0.999
    answer = async () => GONE
    await pass(BATCH_MS)
    reporter.note('update')
    const waits: number[] = []
    for (let waited = 0; waits.length < 6; ) {
      const before = sent.length
      await pass(100)
      waited += 100
      if (sent.length === before) continue
      waits.push(waited)
      waited = 0
    }
    // Up to twice a tenth of the interval, then up to twice as long, and to two intervals in the end.
    expect(waits).toEqual([2000, 4000, 8000, 16_000, 20_000, 20_000])
    expect(sent.at(-1)).toEqual(['start', 'update'])
    expect(failed).toHaveBeenCalledTimes(1)
    answer = async () => undefined
    await pass(2 * INTERVAL_MS)
    await pass(INTERVAL_MS + SPREAD_MS)
    expect(sent.at(-1)).toEqual(['interval'])
    expect(failed).toHaveBeenCalledTimes(1)
  })

  test('that are not wanted for a while come after it', async () => {
    answer = async () => ({ ...GONE, retry_after_ms: 5000 })
    await pass(BATCH_MS)
    reporter.note('update')
    await pass(4999)
    expect(sent).toEqual([['start']])
    await pass(1)
    expect(sent).toEqual([['start'], ['start', 'update']])
  })

  test('end with a last one, and nothing comes after it', async () => {
    await pass(BATCH_MS)
    reporter.note('switch')
    await reporter.close()
    expect(sent).toEqual([['start'], ['switch', 'close']])
    reporter.note('update')
    await pass(2 * INTERVAL_MS)
    expect(sent).toHaveLength(2)
  })

  test('end without one where none was taken the last time, or none was sent', async () => {
    await reporter.close()
    expect(sent).toEqual([])
  })
})
