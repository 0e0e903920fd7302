import { describe, expect, test, vi } from 'vitest'
import type { DynacodeOptions, Fetched, Source } from '../../../lib/index.ts'
import { createInstance, payloadsOf, record } from '../../fixtures/instance.ts'

const bytes = Buffer.from('{"general":{"version":1},"domains":[]}')

/** An instance whose errors of the watch are kept. */
function startWith(source: Source, options: Partial<DynacodeOptions> = {}) {
  const failures: unknown[] = []
  const on_error: DynacodeOptions['on_error'] = ({ section, error }) => failures.push([section, error])
  return { dyna: createInstance({ source, on_error, ...options }), failures }
}

describe('a tag', () => {
  test.each([undefined, null, ''])('of %j is none, or as good as any', async (tag) => {
    const asked: unknown[] = []
    const { dyna } = startWith({
      async fetch(_signal, last) {
        asked.push(last)
        return { bytes, tag } as Fetched
      },
    })
    await dyna.ready()
    expect(await dyna.refresh()).toMatchObject({ reason: 'unchanged' })
    expect(asked).toEqual([undefined, tag ?? undefined])
  })

  test.each([
    [5, '5'],
    [true, 'true'],
    [{}, 'an object'],
    [['a'], 'an array of 1'],
  ])('of %j makes the fetch a failed one', async (tag, came) => {
    const { dyna } = startWith({ fetch: async () => ({ bytes, tag }) as unknown as Fetched })
    const seen = record(dyna, ['bg_fetch_api_success'])
    const { error } = (await dyna.refresh()) as { error?: Error }
    expect(error).toMatchObject({
      code: 'ERR_DYNACODE_FETCH',
      message: `the source returned a tag that is none: expected a string, got ${came}`,
    })
    expect(payloadsOf(seen, 'bg_fetch_api_success')).toEqual([])
  })
})

describe('the bytes', () => {
  test('may be written over by the source as soon as it has returned them', async () => {
    const textOf = (version: number, filler: number) =>
      JSON.stringify({
        general: { version },
        domains: Array.from({ length: 60 }, (_, n) => ({
          name: `${n}.com`,
          plugins: [{ name: 'p', phase: 'access', code: `say(${n === 30 ? version : 0})${';'.repeat(filler)}` }],
        })),
      })
    const memory = Buffer.from(textOf(1, 1000))
    const { dyna } = startWith({ fetch: async () => ({ bytes: memory }) })
    await dyna.ready()
    for (const version of [2, 3, 4]) {
      memory.write(textOf(version, 1000))
      expect(await dyna.refresh()).toMatchObject({ updated: true, version, compiled: 1, reused: 59 })
      expect(await dyna.refresh()).toMatchObject({ updated: false, reason: 'unchanged' })
    }
  })
})

describe('a watch', () => {
  const fetch = async () => ({ bytes })
  const fault = new Error('no watch today')

  test.each([
    [
      'throws',
      () => {
        throw fault
      },
    ],
    ['rejects', () => Promise.reject(fault)],
    [
      'rejects later',
      async () => {
        await null
        throw fault
      },
    ],
  ])('that %s is told, and the source polled', async (_, watch) => {
    const { dyna, failures } = startWith({ fetch, watch: watch as never })
    await dyna.ready()
    await vi.waitFor(() => expect(failures).toEqual([['watch', fault]]))
  })

  test('that throws at once is heard of by listeners that are added right after', async () => {
    const watch = () => {
      throw fault
    }
    const dyna = createInstance({ source: { fetch, watch } })
    const seen = record(dyna, ['on_error'])
    await dyna.ready()
    expect(payloadsOf(seen, 'on_error')).toMatchObject([{ section: 'watch', error: fault }])
  })

  test.each([
    [undefined, 'nothing'],
    [5, '5'],
    [Promise.resolve(), 'nothing'],
  ])('that returns %s is told', async (returned, came) => {
    const { dyna, failures } = startWith({ fetch, watch: () => returned as never })
    await dyna.ready()
    const message = `watch() of the source: expected a function that ends it, got ${came}`
    await vi.waitFor(() => expect(failures).toEqual([['watch', expect.objectContaining({ message })]]))
  })

  test('that is async is ended all the same, also where it begins after that', async () => {
    const stop = vi.fn()
    let begin = (_: unknown) => undefined as unknown
    const watch = () =>
      new Promise((resolve) => {
        begin = resolve
      })
    const { dyna, failures } = startWith({ fetch, watch: watch as never })
    await dyna.ready()
    await dyna.close()
    expect(stop).not.toHaveBeenCalled()
    begin(stop)
    await vi.waitFor(() => expect(stop).toHaveBeenCalledTimes(1))
    expect(failures).toEqual([])
  })

  test.each([
    [
      'throws',
      () => {
        throw fault
      },
    ],
    ['rejects', () => Promise.reject(fault)],
  ])('whose end %s does not keep an instance from closing', async (_, stop) => {
    const { dyna } = startWith({ fetch, watch: () => stop as never })
    await dyna.ready()
    await dyna.close()
  })

  test('that goes on calling after its end brings no fetch', async () => {
    let call: () => void = () => undefined
    const source = {
      fetch: vi.fn(fetch),
      watch: (changed: () => void) => {
        call = changed
        return () => undefined
      },
    }
    const { dyna } = startWith(source)
    await dyna.ready()
    await dyna.close()
    source.fetch.mockClear()
    call()
    expect(source.fetch).not.toHaveBeenCalled()
  })
})

describe('close()', () => {
  test.each([
    [
      'throws',
      () => {
        throw new Error('x')
      },
    ],
    ['rejects', () => Promise.reject(new Error('x'))],
    ['never ends', () => new Promise<void>(() => undefined)],
  ])('of a source that %s does not keep an instance from closing', async (_, close) => {
    const { dyna } = startWith({ fetch: async () => ({ bytes }), close }, { plugin_api_timeout: 0.05 })
    await dyna.ready()
    await expect(dyna.close()).resolves.toBeUndefined()
  })
})

test('a source of two instances is closed by the last of them, and each has a watch of its own', async () => {
  const listeners = new Set<() => void>()
  let version = 1
  const source = {
    fetch: async () => ({ bytes: Buffer.from(JSON.stringify({ general: { version }, domains: [] })) }),
    watch(changed: () => void) {
      listeners.add(changed)
      return () => listeners.delete(changed)
    },
    close: vi.fn(),
  }
  const [first, second] = [startWith(source as Source).dyna, startWith(source as Source).dyna]
  await Promise.all([first.ready(), second.ready()])
  await first.close()
  expect(source.close).not.toHaveBeenCalled()
  version = 2
  for (const changed of listeners) changed()
  await vi.waitFor(() => expect(second.status().version).toBe(2))
  await Promise.all([second.close(), second.close(), first.close()])
  expect(source.close).toHaveBeenCalledTimes(1)
  expect(listeners.size).toBe(0)
})
