import { describe, expect, test, vi } from 'vitest'
import type { Fetched, Source } from '../../../lib/index.ts'
import { createInstance, payloadsOf, record } from '../../fixtures/instance.ts'

/** A source in memory, whose notices the test gives. */
function createSource(watch?: Source['watch']) {
  let version = 1
  let changed: () => void = () => undefined
  const stopped = vi.fn()
  const fetch = vi.fn(
    async (_signal: AbortSignal, _last: string | undefined): Promise<Fetched> => ({
      bytes: Buffer.from(JSON.stringify({ general: { version }, domains: [] })),
      tag: String(version),
    }),
  )
  const source: Source = {
    fetch,
    watch:
      watch ??
      ((notify) => {
        changed = notify
        return stopped
      }),
  }
  return {
    source,
    fetch,
    stopped,
    publish(next: number) {
      version = next
    },
    notify: () => changed(),
  }
}

describe('a source that can be watched', () => {
  test('is fetched when it says so, not only when it is time', async () => {
    const { source, publish, notify } = createSource()
    const dyna = createInstance({ source })
    await dyna.ready()
    publish(2)
    notify()
    await expect.poll(() => dyna.status().version).toBe(2)
  })

  test('is fetched once more when it says so during a fetch, which may have come too soon', async () => {
    const { source, fetch, publish, notify } = createSource()
    const dyna = createInstance({ source })
    await dyna.ready()
    let answer: (fetched: Fetched) => void = () => undefined
    fetch.mockImplementationOnce(() => new Promise((resolve) => (answer = resolve)))
    const asked = dyna.refresh()
    await expect.poll(() => fetch.mock.calls.length).toBe(2)
    publish(3)
    notify()
    notify()
    answer({ bytes: Buffer.from('{"general":{"version":2},"domains":[]}') })
    expect(await asked).toMatchObject({ version: 2 })
    await expect.poll(() => dyna.status().version).toBe(3)
    // Of two notices the second may be of something that the fetch for the first one did not bring.
    expect(fetch.mock.calls.length).toBeOneOf([3, 4])
  })

  test('is watched until close(), and not listened to after that', async () => {
    const { source, fetch, stopped, notify } = createSource()
    const dyna = createInstance({ source })
    await dyna.ready()
    expect(stopped).not.toHaveBeenCalled()
    await dyna.close()
    await dyna.close()
    expect(stopped).toHaveBeenCalledTimes(1)
    notify()
    await new Promise(setImmediate)
    expect(fetch).toHaveBeenCalledTimes(1)
  })

  test('is polled all the same when its watch cannot be begun or ended', async () => {
    const begins = createSource(() => {
      throw new Error('cannot watch')
    })
    const errors: unknown[] = []
    const on_error = ({ section, error }: { section: string; error: unknown }) => errors.push([section, error])
    const dyna = createInstance({ source: begins.source, on_error })
    await dyna.ready()
    expect(errors).toEqual([['watch', new Error('cannot watch')]])
    const ends = createSource(() => () => {
      throw new Error('cannot stop')
    })
    await createInstance({ source: ends.source }).close()
  })
})

test('a source without watch is polled', async () => {
  const { source, fetch } = createSource()
  const dyna = createInstance({ source: { fetch: source.fetch } })
  const seen = record(dyna, ['bg_updated_plugins'])
  await dyna.ready()
  expect(payloadsOf(seen, 'bg_updated_plugins')).toHaveLength(1)
  expect(fetch).toHaveBeenCalledTimes(1)
})
