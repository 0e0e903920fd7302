import { AssertionError } from 'node:assert'
import { createHash } from 'node:crypto'
import { createServer } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { describe, expect, test, vi } from 'vitest'
import type { Fetched, Source } from '../../lib/index.ts'
import { checkSource, type SourceCase, type SourceFixture } from '../../lib/testing/index.ts'

/** What is behind the sources below. */
interface Memory {
  document: Uint8Array | undefined
  broken: boolean
  stalled: boolean
  readonly listeners: Set<() => void>
  readonly tag: () => string | undefined
}

/** A source as it should be, with what can be done to it; `change` makes another of it. */
function setup(change: (source: Required<Source>, memory: Memory) => Source = (source) => source) {
  return (): SourceFixture => {
    const memory: Memory = {
      document: undefined,
      broken: false,
      stalled: false,
      listeners: new Set(),
      tag: () => memory.document && createHash('sha256').update(memory.document).digest('hex'),
    }
    const source: Required<Source> = {
      async fetch(signal, last): Promise<Fetched> {
        signal.throwIfAborted()
        await pause(memory.stalled ? 60_000 : 1, undefined, { signal })
        if (memory.broken || memory.document === undefined) throw new Error('no document')
        const tag = memory.tag()
        return tag === last ? { unchanged: true } : { bytes: memory.document, tag }
      },
      watch(changed) {
        memory.listeners.add(changed)
        return () => memory.listeners.delete(changed)
      },
      close: () => undefined,
    }
    const tell = () => {
      for (const listener of [...memory.listeners]) listener()
    }
    return {
      source: change(source, memory),
      publish(document) {
        memory.document = document
        tell()
      },
      clear() {
        memory.document = undefined
      },
      break() {
        memory.broken = true
      },
      stall() {
        memory.stalled = true
      },
      mend() {
        memory.broken = false
        memory.stalled = false
      },
    }
  }
}

const LIMITS = { patience_ms: 400, quiet_ms: 30, big_bytes: 100_000 }
const NAMES = checkSource(setup()).map(({ name }) => name)

/** Names of the cases that fail, and what they say. */
async function failures(make: () => SourceFixture): Promise<Record<string, string>> {
  const failed: Record<string, string> = {}
  const look = async ({ name, run }: SourceCase) => {
    try {
      await run()
    } catch (error) {
      expect(error).toBeInstanceOf(AssertionError)
      failed[name] = (error as Error).message
    }
  }
  const cases = checkSource(make, LIMITS)
  // Together, to save time; only the last looks at what else there is in the process.
  await Promise.all(cases.slice(0, -1).map(look))
  await Promise.all(cases.slice(-1).map(look))
  return failed
}

describe('a good source', () => {
  for (const { name, run } of checkSource(setup(), LIMITS)) {
    test(name, async () => {
      const skip = vi.fn()
      await run({ skip })
      expect(skip).not.toHaveBeenCalled()
    })
  }

  test('without a watch, tags and hooks has cases that do not apply, and say why', async () => {
    const make = () => {
      const { source, publish } = setup()()
      const fetch: Source['fetch'] = async (signal) => {
        const fetched = await source.fetch(signal, undefined)
        return fetched.unchanged === true ? fetched : { bytes: fetched.bytes }
      }
      return { source: { fetch }, publish }
    }
    const skip = vi.fn()
    for (const { run } of checkSource(make, LIMITS)) await run({ skip })
    expect(new Set(skip.mock.calls.flat())).toEqual(
      new Set(['the source gives no tags', 'the fixture has no break() and mend()', 'the source has no watch()']),
    )
    expect(NAMES.length - skip.mock.calls.length).toBe(9)
  })

  test('is tried by tests of Node, Jest and others, which look at the number of parameters', () => {
    expect(new Set(checkSource(setup()).map(({ run }) => run.length))).toEqual(new Set([0]))
  })

  test('may find its way back later than it is mended', async () => {
    const late = setup((source, memory) => {
      let until = 0
      return {
        ...source,
        async fetch(signal, last) {
          if (memory.broken) until = performance.now() + 100
          if (performance.now() < until) throw new Error('not yet')
          return source.fetch(signal, last)
        },
      }
    })
    expect(await failures(late)).toEqual({})
  })
})

const open: { close(): unknown }[] = []

/** A fault, the only case that it fails, and what that says. */
const FAULTS: [string, Parameters<typeof setup>[0], string, RegExp][] = [
  [
    'decodes and encodes the text as if it were Latin-1',
    (source) => ({
      ...source,
      async fetch(signal, last) {
        const fetched = await source.fetch(signal, last)
        return fetched.unchanged === true
          ? fetched
          : { ...fetched, bytes: Buffer.from(Buffer.from(fetched.bytes).toString('ascii')) }
      },
    }),
    'returns the bytes that were published, exactly',
    /^fetch\(\): expected the 6\d bytes that were published, got \d+: another from byte 22 on$/,
  ],
  [
    'keeps a document for a moment',
    (source, memory) => {
      let kept: { readonly fetched: Fetched; readonly until: number } | undefined
      return {
        ...source,
        async fetch(signal, last) {
          const is_gone = memory.document === undefined || memory.broken || memory.stalled || signal.aborted
          if (is_gone) kept = undefined
          if (kept !== undefined && last === undefined && performance.now() < kept.until) return kept.fetched
          const fetched = await source.fetch(signal, last)
          kept = { fetched, until: performance.now() + 20 }
          return fetched
        },
      }
    },
    'returns the document that was published last',
    /^the fetch after a second document was published: expected the \d+ bytes/,
  ],
  [
    'remembers by itself what it returned',
    (source) => {
      let seen = 0
      let busy = false
      return {
        ...source,
        async fetch(signal, last) {
          const counts = !busy && last === undefined
          busy = true
          const fetched = await source.fetch(signal, last).finally(() => {
            busy = false
          })
          if (counts) seen += 1
          return counts && seen === 3 ? { unchanged: true } : fetched
        },
      }
    },
    'returns the document each time that it is asked without a tag',
    /^the third fetch said unchanged, though it was asked without a tag$/,
  ],
  [
    'says unchanged to every tag of its own',
    (source) => {
      const given = new Set<string>()
      return {
        ...source,
        async fetch(signal, last) {
          if (last !== undefined && given.has(last)) return { unchanged: true }
          const fetched = await source.fetch(signal, last)
          if (fetched.unchanged !== true && fetched.tag !== undefined) given.add(fetched.tag)
          return fetched
        },
        watch: undefined as never,
      }
    },
    'returns the new document to the tag of an earlier one',
    /^the fetch with the tag of the first document said unchanged, though that is not the tag of the document$/,
  ],
  [
    'answers its own tag with something else',
    (source) => ({
      ...source,
      async fetch(signal, last) {
        const fetched = await source.fetch(signal, last)
        return fetched.unchanged === true ? { bytes: Buffer.from('{}') } : fetched
      },
    }),
    'says unchanged, or returns the same bytes, when its tag is handed back',
    /^the fetch with its own tag: expected the \d+ bytes that were published, got 2: another from byte 1 on$/,
  ],
  [
    'says unchanged to a tag it does not know',
    (source) => ({
      ...source,
      fetch: async (signal, last) =>
        last !== undefined && last.length !== 64 ? { unchanged: true } : source.fetch(signal, last),
    }),
    'returns the document to a tag that it never gave',
    /^the fetch with a tag that it never gave said unchanged/,
  ],
  [
    'cuts what is over 64 KiB',
    (source) => ({
      ...source,
      async fetch(signal, last) {
        const fetched = await source.fetch(signal, last)
        return fetched.unchanged === true ? fetched : { ...fetched, bytes: fetched.bytes.subarray(0, 65_536) }
      },
    }),
    'returns a big document whole',
    /^the fetch of a big document: expected the 1\d{5} bytes that were published, got 65536: another from byte 65536 on$/,
  ],
  [
    'refuses a fetch while another is under way',
    (source) => {
      let busy = false
      return {
        ...source,
        async fetch(signal, last) {
          if (busy) throw new Error('busy')
          busy = true
          return source.fetch(signal, last).finally(() => {
            busy = false
          })
        },
      }
    },
    'returns the document to fetches at the same time',
    /^fetch 2 of 10 at the same time: expected a document, got a rejection: Error: busy$/,
  ],
  [
    'hangs while there is no document',
    (source, memory) => ({
      ...source,
      fetch: (signal, last) =>
        memory.document === undefined ? new Promise(() => undefined) : source.fetch(signal, last),
    }),
    'rejects while there is no document',
    /^fetch\(\) while nothing was published yet did not settle within 400 ms$/,
  ],
  [
    'throws while there is no document',
    (source, memory) => ({
      ...source,
      fetch(signal, last) {
        if (memory.document === undefined) throw new Error('nothing here')
        return source.fetch(signal, last)
      },
    }),
    'rejects while there is no document',
    /^fetch\(\) while nothing was published yet threw Error: nothing here instead of returning a promise that rejects$/,
  ],
  [
    'returns no bytes while there is no document',
    (source, memory) => ({
      ...source,
      fetch: async (signal, last) =>
        memory.document === undefined ? { bytes: new Uint8Array() } : source.fetch(signal, last),
    }),
    'rejects while there is no document',
    /^fetch\(\) while nothing was published yet: expected a rejection, got a document of 0 bytes$/,
  ],
  [
    'never comes back once it failed',
    (source, memory) => {
      let dead = false
      return {
        ...source,
        async fetch(signal, last) {
          dead ||= memory.broken
          if (dead) throw new Error('dead')
          return source.fetch(signal, last)
        },
      }
    },
    'rejects while what is behind it is broken, and recovers',
    /^expected the document again \(the last one: fetch\(\): expected a document, got a rejection: Error: dead\) within 400 ms$/,
  ],
  [
    'does not hear its signal',
    (source, memory) => ({
      ...source,
      fetch(signal, last) {
        return memory.stalled || signal.aborted
          ? source.fetch(new AbortController().signal, last)
          : source.fetch(signal, last)
      },
    }),
    'gives up at once when its signal aborts',
    /^fetch\(\) while its signal has aborted before: expected a rejection, got a document of \d+ bytes$/,
  ],
  [
    'hears its signal only before it asks',
    (source) => ({
      ...source,
      async fetch(signal, last) {
        signal.throwIfAborted()
        return source.fetch(new AbortController().signal, last)
      },
    }),
    'gives up at once when its signal aborts',
    /^fetch\(\) while no answer comes, and its signal aborts after 50 ms did not settle within 400 ms$/,
  ],
  [
    'calls changed() at once',
    (source) => ({
      ...source,
      watch(changed) {
        changed()
        return source.watch(changed)
      },
    }),
    'watch: calls nothing before it returns',
    /^watch\(\) called changed\(\) before it returned$/,
  ],
  [
    'begins to watch late, and does not say so',
    (source, memory) => ({
      ...source,
      watch(changed) {
        const timer = setTimeout(() => memory.listeners.add(changed), 20).unref()
        return () => {
          clearTimeout(timer)
          memory.listeners.delete(changed)
        }
      },
    }),
    'watch: misses no document that is published as soon as it has returned',
    /^expected changed\(\) to lead to a document that was published at once; it was called 0 times within 400 ms$/,
  ],
  [
    'tells of two changes only',
    (source) => ({
      ...source,
      watch(changed) {
        let calls = 0
        return source.watch(() => {
          calls += 1
          if (calls !== 3) changed()
        })
      },
    }),
    'watch: reports one document after the other',
    /^expected changed\(\) to lead to the document "four"; it was called 0 times within 400 ms$/,
  ],
  [
    'goes on watching after it was ended',
    (source) => ({
      ...source,
      watch(changed) {
        let closed = false
        source.watch(() => {
          if (!closed) changed()
        })
        return () => {
          setTimeout(() => {
            closed = true
          }, 10)
        }
      },
    }),
    'watch: calls nothing after it was ended',
    /^changed\(\) was called after the watch was ended/,
  ],
  [
    'cannot be ended twice',
    (source) => ({
      ...source,
      watch(changed) {
        const stop = source.watch(changed)
        let ended = false
        return () => {
          if (ended) throw new Error('ended already')
          ended = true
          stop()
        }
      },
    }),
    'watch: can be ended twice',
    /^Got unwanted exception: ending the watch a second time threw/,
  ],
  [
    'has one watch for all',
    (source) => {
      let stop: () => void = () => undefined
      return {
        ...source,
        watch(changed) {
          stop = source.watch(changed)
          return () => {
            stop()
            stop = () => undefined
          }
        },
      }
    },
    'watch: of one instance ends without that of another',
    /^expected changed\(\) of a second watch to be called when the first one had ended within 400 ms$/,
  ],
  [
    'watches no longer once it was broken',
    (source, memory) => ({
      ...source,
      watch(changed) {
        const timer = setInterval(() => {
          if (memory.broken) stop()
        }, 1)
        const remove = source.watch(changed)
        const stop = () => {
          clearInterval(timer)
          remove()
        }
        return stop
      },
    }),
    'watch: reports a document that is published after a broken connection is repaired',
    /^expected changed\(\) to lead to the document after it was mended; it was called 0 times within 400 ms$/,
  ],
  [
    'leaves a server open',
    (source) => {
      const server = createServer().listen(0, '127.0.0.1')
      open.push(server)
      return { ...source, close: () => undefined }
    },
    'close: leaves nothing behind',
    /^expected nothing to stay open after close\(\) \(still open: 1 TCPServerWrap\) within 400 ms$/,
  ],
  [
    'throws when it is closed',
    (source) => ({
      ...source,
      close() {
        throw new Error('closed already')
      },
    }),
    'close: leaves nothing behind',
    /^close\(\): expected no error, got Error: closed already$/,
  ],
  [
    'never ends to close',
    (source) => ({ ...source, close: () => new Promise<void>(() => undefined) }),
    'close: leaves nothing behind',
    /^close\(\) did not settle within 400 ms$/,
  ],
]

describe('a source that', () => {
  test.each(FAULTS)('%s fails the one case for that', async (_, change, name, message) => {
    const failed = await failures(setup(change))
    for (const each of open.splice(0)) each.close()
    expect(Object.keys(failed)).toEqual([name])
    expect(failed[name]).toMatch(message)
  })

  test('there is one for every case', () => {
    expect(new Set(FAULTS.map(([, , name]) => name))).toEqual(new Set(NAMES))
  })
})
