import { beforeEach, describe, expect, test, vi } from 'vitest'
import type { Activator } from '../../lib/background/activator.ts'
import { createAsking } from '../../lib/background/asking.ts'
import { type Asked, askNow } from '../../lib/background/cache/asked.ts'
import type { Cache } from '../../lib/background/cache/disk.ts'
import { type Cycle, createCycle } from '../../lib/background/cycle.ts'
import { createRefresher, type Refresher } from '../../lib/background/refresher.ts'
import { DocumentError, DynacodeError } from '../../lib/errors.ts'
import { createEvents } from '../../lib/events/emitter.ts'
import type { Fetched } from '../../lib/sources/contract.ts'
import type { Arrival } from '../../lib/sources/http/source.ts'
import { steadyNow } from '../../lib/time/steady-clock.ts'

const bytes = Buffer.from('{"domains":[]}')
const other = Buffer.from('{"domains":[],"other":1}')
const SHA1 = '6c1c6dc5f2dbf2ce5bdde6c2dc9ff9ba3e1e0e9f'

interface Live {
  readonly bytes: Uint8Array
  readonly sha1: string
  readonly tag: string | undefined
  readonly asked?: Asked
  readonly version?: number
}

const fetch = vi.fn(async (_last: string | undefined, _live: boolean): Promise<Fetched> => ({ bytes, tag: 'new' }))
const activator = {
  activated: vi.fn((): Live | null => null),
  attempted: vi.fn(),
  confirm: vi.fn(),
  activate: vi.fn(),
  activateTrusted: vi.fn(),
}
const over = vi.fn()
const highest = { get: vi.fn(), note: vi.fn(), persist: vi.fn() }
const UPDATE = { version: 1, plugins: 0 }
const ASKED = expect.objectContaining({ boot: expect.any(String), steady_ms: expect.any(Number) })

/** So many milliseconds before another moment. */
const before = (asked: Asked, ms: number): Asked => ({ ...asked, steady_ms: asked.steady_ms - ms, at: asked.at - ms })

let closing: AbortController
let arrivals: Map<Uint8Array, Arrival>
let heard: [string, object][]

function create(sharing?: {
  cache: Cache
  max_age_ms: number
  stale_ms: number
}): Refresher & Pick<Cycle, 'last_error'> {
  const events = createEvents({})
  for (const name of ['bg_cache_hit', 'bg_cache_miss', 'bg_didnt_update_plugins', 'on_error'] as const) {
    events.emitter.on(name, (payload: object) => heard.push([name, payload]))
  }
  const ask = createAsking({
    fetch,
    arrivals,
    activator: activator as unknown as Activator,
    highest,
    cache: sharing?.cache,
    events,
    closing: closing.signal,
  })
  const cycle = createCycle({
    ask,
    activator: activator as unknown as Activator,
    sharing,
    events,
    closing: closing.signal,
  })
  const refresher = createRefresher({
    cycle,
    activator: activator as unknown as Activator,
    trace: (_occasion, refresh) => refresh(),
    closing: closing.signal,
    over,
  })
  return { ...refresher, last_error: cycle.last_error }
}

beforeEach(() => {
  vi.resetAllMocks()
  closing = new AbortController()
  arrivals = new Map()
  heard = []
  fetch.mockImplementation(async () => ({ bytes, tag: 'new' }))
  activator.activated.mockReturnValue(null)
  activator.activate.mockResolvedValue(UPDATE)
})

describe('a cycle', () => {
  test('hands what was fetched to the activator, with its SHA-1 and tag', async () => {
    const { refresh, last_error } = create()
    expect(await refresh()).toEqual({ updated: true, ...UPDATE })
    expect(fetch).toHaveBeenCalledWith(undefined, false)
    expect(activator.activate).toHaveBeenCalledWith(
      { bytes, sha1: expect.stringMatching(/^[0-9a-f]{40}$/), tag: 'new', asked: ASKED, from: 'network' },
      expect.any(Function),
      expect.any(Function),
    )
    expect(last_error()).toBeNull()
  })

  test('hashes nothing that was hashed as it came', async () => {
    arrivals.set(bytes, { bytes, sha1: SHA1, answered_at: steadyNow() + 1000, change: undefined })
    await create().refresh()
    const live = expect.objectContaining({ sha1: SHA1 })
    expect(activator.activate).toHaveBeenCalledWith(live, expect.any(Function), expect.any(Function))
    activator.activated.mockReturnValue({ bytes: other, sha1: SHA1, tag: 'live' })
    expect(await create().refresh()).toMatchObject({ reason: 'unchanged' })
    expect(activator.confirm).toHaveBeenCalledWith(ASKED, 'new')
  })

  test('takes what was here before it was asked for as of then, and nothing for later than it was asked for', async () => {
    const ages: number[] = []
    for (const answered_at of [steadyNow() - 3000, steadyNow() + 3000]) {
      arrivals.set(bytes, { bytes, sha1: SHA1, answered_at, change: undefined })
      const now = askNow()
      await create().refresh()
      const [{ asked }] = activator.activate.mock.lastCall as unknown as [{ asked: Asked }]
      ages.push(Math.round((now.steady_ms - asked.steady_ms) / 1000), Math.round((now.at - asked.at) / 1000))
    }
    expect(ages.map(Math.abs)).toEqual([3, 3, 0, 0])
  })

  test('asks by the tag of the document that is live', async () => {
    activator.activated.mockReturnValue({ bytes: other, sha1: SHA1, tag: 'live' })
    fetch.mockResolvedValue({ unchanged: true })
    expect(await create().refresh()).toEqual({ updated: false, reason: 'unchanged', error: undefined })
    expect(fetch).toHaveBeenCalledWith('live', true)
    expect(activator.activate).not.toHaveBeenCalled()
    expect(activator.confirm.mock.calls).toEqual([[ASKED, 'live']])
  })

  test('knows the bytes that are live, whatever their tag', async () => {
    const { createHash } = await import('node:crypto')
    activator.activated.mockReturnValue({ bytes, sha1: createHash('sha1').update(bytes).digest('hex'), tag: 'live' })
    expect(await create().refresh()).toMatchObject({ reason: 'unchanged' })
    expect(activator.confirm).toHaveBeenCalledWith(ASKED, 'new')
    expect(activator.activate).not.toHaveBeenCalled()
  })

  test.each([
    ['fetch', new DynacodeError('ERR_DYNACODE_FETCH_TIMEOUT', 'x')],
    ['invalid', new DocumentError('domains', 'x')],
    ['invalid', new TypeError('x')],
    ['held', new DynacodeError('ERR_DYNACODE_HELD', 'x')],
    ['untrusted', new DynacodeError('ERR_DYNACODE_SIGNATURE', 'x')],
    ['untrusted', new DynacodeError('ERR_DYNACODE_VERSION', 'x')],
    ['untrusted', new DynacodeError('ERR_DYNACODE_EXPIRED', 'x')],
  ])('that fails says why: %s', async (reason, error) => {
    if (reason === 'fetch') fetch.mockRejectedValue(error)
    else activator.activate.mockRejectedValue(error)
    const { refresh, last_error } = create()
    expect(await refresh()).toEqual({ updated: false, reason, error })
    expect(heard.at(-1)).toEqual(['bg_didnt_update_plugins', { at: expect.any(Number), reason, error }])
    expect(last_error()).toBe(error)
    expect(activator.confirm).not.toHaveBeenCalled()
  })

  test('that goes well forgets the error of the one before', async () => {
    fetch.mockRejectedValueOnce(new DynacodeError('ERR_DYNACODE_FETCH', 'x'))
    const { refresh, last_error } = create()
    await refresh()
    expect(last_error()).not.toBeNull()
    await refresh()
    expect(last_error()).toBeNull()
  })
})

describe('one cycle at a time', () => {
  test('is joined by whoever asks meanwhile, and over before the next', async () => {
    const { refresh } = create()
    const [first, second] = [refresh(), refresh()]
    expect(second).toBe(first)
    expect(over).not.toHaveBeenCalled()
    const third = new Promise((resolve) => over.mockImplementationOnce(() => resolve([refresh()])))
    await first
    const [next] = (await third) as [Promise<unknown>]
    expect(next).not.toBe(first)
    await next
    expect(fetch).toHaveBeenCalledTimes(2)
  })
})

describe('while a document is being built', () => {
  test('who asks is told what the source has after that, and only once for all', async () => {
    let live = () => {}
    activator.activate.mockImplementationOnce(() => new Promise((resolve) => (live = () => resolve(UPDATE))))
    const { refresh } = create()
    const first = refresh()
    await vi.waitFor(() => expect(activator.activate).toHaveBeenCalled())
    const asked = [refresh(), refresh()]
    live()
    await first
    expect(await asked[0]).toBe(await asked[1])
    expect(fetch).toHaveBeenCalledTimes(2)
  })

  test('who asks once it is live joins', async () => {
    let told = () => {}
    activator.activate.mockImplementationOnce(() => new Promise((resolve) => (told = () => resolve(UPDATE))))
    const { refresh } = create()
    const first = refresh()
    await vi.waitFor(() => expect(activator.activate).toHaveBeenCalled())
    const [{ sha1 }] = activator.activate.mock.calls[0] as [{ sha1: string }]
    activator.activated.mockReturnValue({ bytes, sha1, tag: 'new' })
    expect(refresh()).toBe(first)
    told()
    await first
  })
})

describe('after closing', () => {
  const CLOSED = { updated: false, reason: 'closed', error: expect.objectContaining({ code: 'ERR_DYNACODE_CLOSED' }) }

  test('nothing is asked', async () => {
    closing.abort()
    expect(await create().refresh()).toEqual(CLOSED)
    expect(fetch).not.toHaveBeenCalled()
    expect(heard).toEqual([])
  })

  test.each([
    ['comes', async (): Promise<Fetched> => ({ bytes })],
    ['is unchanged', async (): Promise<Fetched> => ({ unchanged: true })],
    ['fails', () => Promise.reject(new Error('x'))],
  ])('a document that %s changes nothing', async (_, answer) => {
    fetch.mockImplementation(() => {
      closing.abort()
      return answer()
    })
    expect(await create().refresh()).toEqual(CLOSED)
    expect(activator.activate).not.toHaveBeenCalled()
    expect(activator.confirm).not.toHaveBeenCalled()
    expect(heard.map(([name]) => name)).toEqual(['bg_cache_miss'])
  })
})

describe('with a cache', () => {
  const entry = { bytes, sha1: SHA1, tag: 'cached', version: 1, asked: askNow() }
  const release = vi.fn()
  const cache = { lock: vi.fn(), fresh: vi.fn(), touch: vi.fn(), write: vi.fn() }
  const sharing = { cache: cache as unknown as Cache, max_age_ms: 900, stale_ms: 10 }

  beforeEach(() => {
    cache.lock.mockResolvedValue(release)
    cache.write.mockResolvedValue(true)
    cache.touch.mockResolvedValue(true)
  })

  test('what goes live is written, and the right to fetch given back', async () => {
    await create(sharing).refresh('poll')
    expect(cache.lock).toHaveBeenCalledWith({
      max_age_ms: 900,
      stale_ms: 10,
      signal: closing.signal,
      except: undefined,
    })
    expect(cache.write).toHaveBeenCalledWith({ bytes, tag: 'new', version: 1, sha1: expect.any(String) }, ASKED, false)
    expect(highest.persist).toHaveBeenCalledTimes(1)
    expect(release).toHaveBeenCalledTimes(1)
  })

  test('what the activator puts on the disk before it goes live is written once', async () => {
    const order: string[] = []
    cache.write.mockImplementation(async () => {
      order.push('written')
      return true
    })
    activator.activate.mockImplementation(async (_received, _duration, keep) => {
      await keep?.(1)
      order.push('live')
      return UPDATE
    })
    expect(await create(sharing).refresh('poll')).toMatchObject({ updated: true })
    expect(order).toEqual(['written', 'live'])
    expect(highest.persist).toHaveBeenCalledTimes(1)
  })

  test('what is live does not wait for the disk, nor does who asks after it; the right to fetch stays here until it is there', async () => {
    let written = (_isWritten: boolean) => {}
    cache.write.mockImplementationOnce(() => new Promise((resolve) => (written = resolve)))
    const { refresh } = create(sharing)
    expect(await refresh('poll')).toMatchObject({ updated: true })
    const [{ sha1 }] = cache.write.mock.calls[0] as [{ sha1: string }]
    activator.activated.mockReturnValue({ bytes, sha1, tag: 'new' })
    expect(await refresh()).toMatchObject({ updated: false, reason: 'unchanged' })
    expect(fetch).toHaveBeenCalledTimes(2)
    await vi.waitFor(() => expect(release).toHaveBeenCalledTimes(1))
    written(true)
    await vi.waitFor(() => expect(release).toHaveBeenCalledTimes(2))
  })

  test('who asks has it on the disk, too, but does not wait for one that stands still', async () => {
    let written = (_isWritten: boolean) => {}
    cache.write.mockImplementation(() => new Promise((resolve) => (written = resolve)))
    const { refresh } = create(sharing)
    let isOver = false
    const asked = refresh().finally(() => (isOver = true))
    await vi.waitFor(() => expect(cache.write).toHaveBeenCalled())
    expect([isOver, over.mock.calls]).toEqual([false, []])
    written(true)
    await asked
    // This one takes half a second.
    expect(await refresh()).toMatchObject({ updated: true })
  })

  test('what is refused is not written', async () => {
    activator.activate.mockRejectedValue(new DocumentError('domains', 'x'))
    await create(sharing).refresh('poll')
    expect(cache.write).not.toHaveBeenCalled()
    expect(release).toHaveBeenCalledTimes(1)
  })

  test('what another process has just fetched stands for a fetch', async () => {
    cache.lock.mockResolvedValue(undefined)
    cache.fresh.mockReturnValue(entry)
    expect(await create(sharing).refresh('poll')).toMatchObject({ updated: true })
    expect(fetch).not.toHaveBeenCalled()
    expect(activator.activate).toHaveBeenCalledWith(
      { bytes, sha1: SHA1, tag: 'cached', asked: entry.asked, from: 'cache' },
      expect.any(Function),
    )
    expect(heard.map(([name]) => name)).toEqual(['bg_cache_hit'])
  })

  test('what another process has written is taken over when it was asked for later, and only then', async () => {
    const { takeOver } = create(sharing)
    const asked = askNow()
    const live = { bytes: other, sha1: 'another', tag: undefined, asked: before(asked, 100) }
    activator.activated.mockReturnValue(live)
    for (const ms of [200, 100]) {
      cache.fresh.mockResolvedValue({ ...entry, asked: before(asked, ms) })
      await takeOver()
      expect(activator.activate).not.toHaveBeenCalled()
    }
    cache.fresh.mockResolvedValue({ ...entry, asked: before(asked, 50) })
    await takeOver()
    expect(activator.activate).toHaveBeenCalledTimes(1)
    activator.activated.mockReturnValue({ ...live, sha1: SHA1 })
    await takeOver()
    expect(activator.activate).toHaveBeenCalledTimes(1)
    expect(activator.confirm).toHaveBeenCalledWith(before(asked, 50), 'cached')
  })

  test('a poll asks the source where what it finds was asked for before what is live', async () => {
    const asked = askNow()
    activator.activated.mockReturnValue({ bytes: other, sha1: 'live', tag: undefined, asked })
    cache.lock.mockResolvedValue(undefined)
    cache.fresh.mockResolvedValue({ ...entry, asked: before(asked, 100) })
    await create(sharing).refresh('poll')
    expect(fetch).toHaveBeenCalledTimes(1)
    expect(activator.activate).toHaveBeenCalledTimes(1)
    expect(activator.activate.mock.calls[0]?.[0]).toMatchObject({ from: 'network' })
  })

  test('what was noticed is fetched without waiting for other processes', async () => {
    await create(sharing).refresh('noticed')
    expect(cache.lock).not.toHaveBeenCalled()
    expect(fetch).toHaveBeenCalledTimes(1)
    expect(cache.write).toHaveBeenCalledTimes(1)
  })

  test('a refresh that was asked for is a fetch in any case', async () => {
    await create(sharing).refresh()
    expect(cache.lock).toHaveBeenCalledWith({ max_age_ms: 0, stale_ms: 10, signal: closing.signal })
    expect(fetch).toHaveBeenCalledTimes(1)
  })

  test('a refresh that joins what the cache answers asks the source after it, once for all who ask', async () => {
    cache.lock.mockResolvedValueOnce(undefined)
    cache.fresh.mockReturnValueOnce(entry)
    const { refresh } = create(sharing)
    const polled = refresh('poll')
    const asked = [refresh(), refresh('asked')]
    await polled
    expect(fetch).not.toHaveBeenCalled()
    const [first, second] = await Promise.all(asked)
    expect(fetch).toHaveBeenCalledTimes(1)
    expect(second).toBe(first)
  })

  test('a refresh that joins what another process has written asks the source after it', async () => {
    cache.fresh.mockReturnValueOnce(entry)
    const { refresh, takeOver } = create(sharing)
    const taken = takeOver()
    await Promise.resolve()
    await Promise.all([taken, refresh()])
    expect(fetch).toHaveBeenCalledTimes(1)
  })

  test('what is in the cache and is refused here is said once, and the source asked at this poll and the next', async () => {
    cache.lock.mockImplementation(async ({ max_age_ms, except }) =>
      max_age_ms > 0 && except !== SHA1 ? undefined : release,
    )
    cache.fresh.mockImplementation((max_age_ms, except) => (max_age_ms > 0 && except !== SHA1 ? entry : undefined))
    const refusal = new DocumentError('domains', 'too many')
    activator.activate.mockImplementation(async ({ from }) => {
      if (from === 'cache') throw refusal
      return UPDATE
    })
    const { refresh, last_error } = create(sharing)
    expect(await refresh('poll')).toMatchObject({ updated: true })
    expect(await refresh('poll')).toMatchObject({ updated: true })
    expect(fetch).toHaveBeenCalledTimes(2)
    expect(heard.filter(([name]) => name === 'on_error')).toEqual([
      ['on_error', { at: expect.any(Number), section: 'cache', error: refusal }],
    ])
    expect(last_error()).toBeNull()
    expect(release).toHaveBeenCalledTimes(2)
  })

  test('what reaches the disk late has its version noted then', async () => {
    activator.activated.mockReturnValue({ bytes: other, sha1: SHA1, tag: 'live', version: 7 })
    fetch.mockResolvedValue({ unchanged: true })
    cache.touch.mockResolvedValueOnce(false).mockResolvedValueOnce(true)
    const { refresh } = create(sharing)
    await refresh()
    expect(highest.persist).not.toHaveBeenCalled()
    await refresh()
    expect(highest.persist.mock.calls).toEqual([[7]])
  })
})
