import { getEventListeners } from 'node:events'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { createFetcher, isFetchError } from '../../lib/background/fetcher.ts'
import { DocumentError, DynacodeError } from '../../lib/errors.ts'
import { createEvents } from '../../lib/events/emitter.ts'
import type { Fetched, Source } from '../../lib/sources/contract.ts'
import { StatusError } from '../../lib/sources/http/status-error.ts'

const bytes = Buffer.from('{"domains":[]}')
let closing: AbortController

beforeEach(() => {
  vi.useFakeTimers()
  closing = new AbortController()
})

afterEach(() => {
  vi.useRealTimers()
})

function start(fetch: (signal: AbortSignal, last: string | undefined) => unknown) {
  const events = createEvents({})
  const heard: [string, object][] = []
  for (const name of [
    'bg_fetch_api_success',
    'bg_fetch_api_status_code_error',
    'bg_fetch_api_generic_error',
  ] as const) {
    events.emitter.on(name, (payload: object) => heard.push([name, payload]))
  }
  const source = { fetch } as unknown as Source
  const fetcher = createFetcher({ source, timeout_ms: 1000, events, closing: closing.signal })
  return { heard, fetch: (last?: string, live = true) => fetcher(last, live) }
}

const failing = (promise: Promise<unknown>) =>
  promise.then(
    () => undefined,
    (error: unknown) => error,
  )

describe('a fetch', () => {
  test('hands the source’s answer on, and tells of it', async () => {
    const answer: Fetched = { bytes, tag: 'one', status: 200 }
    const source = vi.fn(async () => answer)
    const { fetch, heard } = start(source)
    expect(await fetch('zero')).toEqual(answer)
    expect(source).toHaveBeenCalledWith(expect.any(AbortSignal), 'zero')
    const told = { at: expect.any(Number), duration_ms: expect.any(Number), status: 200, bytes: 14 }
    expect(heard).toEqual([['bg_fetch_api_success', told]])
  })

  test('tells of a source that has no status as HTTP would', async () => {
    const answers: Fetched[] = [{ bytes }, { unchanged: true }]
    const { fetch, heard } = start(async () => answers.shift())
    await fetch()
    await fetch()
    expect(heard.map(([, payload]) => payload)).toMatchObject([
      { status: 200, bytes: 14 },
      { status: 304, bytes: 0 },
    ])
  })

  test('takes an answer that is no promise', async () => {
    const { fetch } = start(() => ({ bytes }))
    expect(await fetch()).toEqual({ bytes, status: 200 })
  })

  test('leaves nothing behind', async () => {
    const { fetch } = start(async (signal) => {
      if (signal.aborted) throw new Error('aborted')
      return { bytes }
    })
    for (let count = 0; count < 10; count += 1) await fetch()
    expect(vi.getTimerCount()).toBe(0)
    expect(getEventListeners(closing.signal, 'abort')).toEqual([])
  })
})

describe('the deadline', () => {
  test('ends a fetch, and aborts the source’s signal', async () => {
    let given: AbortSignal | undefined
    const { fetch, heard } = start((signal) => {
      given = signal
      return new Promise(() => undefined)
    })
    const fetching = failing(fetch())
    await vi.advanceTimersByTimeAsync(999)
    expect(given?.aborted).toBe(false)
    await vi.advanceTimersByTimeAsync(1)
    expect(given?.aborted).toBe(true)
    const error = await fetching
    expect(error).toMatchObject({
      code: 'ERR_DYNACODE_FETCH_TIMEOUT',
      message: 'no whole answer within 1 s (plugin_api_timeout)',
    })
    expect(heard).toMatchObject([['bg_fetch_api_generic_error', { error }]])
  })

  test('does not blame a source that failed before', async () => {
    const { fetch } = start(() => Promise.reject(new Error('no disk')))
    expect(await failing(fetch())).toMatchObject({ code: 'ERR_DYNACODE_FETCH' })
  })
})

describe('a fetch that fails', () => {
  test.each([
    [
      'a status',
      new StatusError(503, 'http://api.test/'),
      'bg_fetch_api_status_code_error',
      'ERR_DYNACODE_FETCH_STATUS',
    ],
    [
      'another fault of dynacode',
      new DynacodeError('ERR_DYNACODE_FETCH_TOO_LARGE', 'x'),
      'bg_fetch_api_generic_error',
      'ERR_DYNACODE_FETCH_TOO_LARGE',
    ],
    ['any error', new Error('no disk'), 'bg_fetch_api_generic_error', 'ERR_DYNACODE_FETCH'],
    [
      'an error without words',
      Object.assign(new Error(), { code: 'ECONNREFUSED' }),
      'bg_fetch_api_generic_error',
      'ERR_DYNACODE_FETCH',
    ],
    ['no error at all', undefined, 'bg_fetch_api_generic_error', 'ERR_DYNACODE_FETCH'],
  ])('with %s is told as such', async (_, thrown, event, code) => {
    const { fetch, heard } = start(() => Promise.reject(thrown))
    const error = await failing(fetch())
    expect(error).toMatchObject({ code })
    expect(isFetchError(error)).toBe(true)
    expect(heard).toMatchObject([[event, { error, duration_ms: expect.any(Number) }]])
  })

  test('as nothing could be had is told from one whose document is refused', () => {
    expect(isFetchError(new DocumentError('domains', 'x'))).toBe(false)
    expect(isFetchError(new TypeError('x'))).toBe(false)
  })

  test.each([
    [undefined, 'got nothing'],
    [null, 'got null'],
    [{}, 'got nothing'],
    [{ bytes: 'text' }, 'got "text"'],
    [{ bytes: [1] }, 'got an array of 1'],
  ])('with %j in place of an answer says what was expected', async (answer, came) => {
    const { fetch } = start(async () => answer)
    expect(await failing(fetch())).toMatchObject({
      message: `the source returned no bytes: expected a Uint8Array, ${came}`,
    })
  })

  test('since nothing can be unchanged where nothing is live', async () => {
    const { fetch } = start(async () => ({ unchanged: true }))
    expect(await failing(fetch(undefined, false))).toMatchObject({ code: 'ERR_DYNACODE_FETCH' })
    expect(await fetch(undefined, true)).toEqual({ unchanged: true })
  })
})

describe('closing', () => {
  test('ends a fetch without a word', async () => {
    const { fetch, heard } = start(() => new Promise(() => undefined))
    const fetching = failing(fetch())
    closing.abort()
    expect(await fetching).toBeInstanceOf(Error)
    expect(heard).toEqual([])
    expect(vi.getTimerCount()).toBe(0)
  })

  test('before it means that the source is not asked', async () => {
    const source = vi.fn()
    const { fetch } = start(source)
    closing.abort()
    expect(await failing(fetch())).toBeInstanceOf(Error)
    expect(source).not.toHaveBeenCalled()
  })

  test('handles what the source rejects with afterwards', async () => {
    const unhandled = vi.fn()
    process.on('unhandledRejection', unhandled)
    vi.useRealTimers()
    let reject: (error: Error) => void = () => undefined
    const { fetch } = start(
      () =>
        new Promise((_resolve, fail) => {
          reject = fail
          closing.abort()
        }),
    )
    expect(await failing(fetch())).toBeInstanceOf(Error)
    reject(new Error('late'))
    await new Promise((resolve) => setTimeout(resolve, 5))
    process.off('unhandledRejection', unhandled)
    expect(unhandled).not.toHaveBeenCalled()
  })
})
