import assert from 'node:assert/strict'
import { setTimeout as pause } from 'node:timers/promises'
import type { Fetched, Source } from '../sources/contract.ts'
import { steadyNow } from '../time/steady-clock.ts'

/** A source to test, and functions that change its backend. They may return promises. */
export interface SourceFixture {
  /** A new source: nothing has been fetched from it, and no document is published yet. */
  readonly source: Source
  /** Publishes this document; resolves once a fetch would return it. */
  publish(document: Uint8Array): unknown
  /** Removes the document. */
  clear?(): unknown
  /** Makes the source's backend fail. */
  break?(): unknown
  /** Makes the source's backend stop answering while its connections stay open. */
  stall?(): unknown
  /** Undoes `break` and `stall`. */
  mend?(): unknown
  /** Releases what the fixture holds. Called last, after the source's own `close()`. */
  close?(): unknown
}

/** How long to wait, and how much to send. */
export interface Limits {
  readonly patience_ms: number
  readonly quiet_ms: number
  readonly big_bytes: number
}

/** Shows that a source does one thing that it must; resolves with a reason where it does not apply. */
export type Check = (bench: Bench) => Promise<string | undefined>

/** What checks are made with. What fails rejects with an AssertionError. */
export interface Bench {
  readonly source: Source
  readonly fixture: SourceFixture
  readonly limits: Limits
  /** Publishes a document that dynacode could read; resolves with its bytes. */
  publish(text: string): Promise<Uint8Array>
  /** Settles with what is called, which must return a promise, and settle it in time. */
  settle<T>(call: () => T | Promise<T>, what: string): Promise<T>
  fetch(last?: string, what?: string): Promise<Fetched>
  expectDocument(document: Uint8Array, last?: string, what?: string): Promise<Fetched>
  expectRejection(while_what: string, signal?: AbortSignal): Promise<void>
  /** Tries until it holds. */
  eventually(holds: () => boolean | Promise<boolean>, message: () => string): Promise<void>
  /** The source returns this document, if not at once. */
  recovers(document: Uint8Array): Promise<void>
}

/** Makes the tools for one check of one source. */
export function createBench(fixture: SourceFixture, limits: Limits): Bench {
  const { source } = fixture
  const { patience_ms } = limits

  async function settle<T>(call: () => T | Promise<T>, what: string): Promise<T> {
    let returned: T | Promise<T>
    try {
      returned = call()
    } catch (error) {
      assert.fail(`${what} threw ${error} instead of returning a promise that rejects`)
    }
    const late = new AbortController()
    try {
      return await Promise.race([
        returned,
        pause(patience_ms, undefined, { signal: late.signal }).then(() =>
          assert.fail(`${what} did not settle within ${patience_ms} ms`),
        ),
      ])
    } finally {
      late.abort()
    }
  }

  async function fetch(last?: string, what = 'fetch()'): Promise<Fetched> {
    const rejected = (error: unknown) => assert.fail(`${what}: expected a document, got a rejection: ${error}`)
    const fetched = await settle(() => source.fetch(new AbortController().signal, last).catch(rejected), what)
    assert.ok(typeof fetched === 'object' && fetched !== null, `${what}: expected an object, got ${String(fetched)}`)
    return fetched
  }

  async function expectDocument(document: Uint8Array, last?: string, what = 'fetch()'): Promise<Fetched> {
    const fetched = await fetch(last, what)
    const without =
      last === undefined ? 'though it was asked without a tag' : 'though that is not the tag of the document'
    if (fetched.unchanged === true) assert.fail(`${what} said unchanged, ${without}`)
    assertSame(fetched.bytes, document, what)
    return fetched
  }

  async function expectRejection(while_what: string, signal = new AbortController().signal): Promise<void> {
    const what = `fetch() while ${while_what}`
    let rejected = false
    const fetched = await settle(() => {
      const promise = source.fetch(signal, undefined)
      return promise.catch(() => {
        rejected = true
      })
    }, what)
    assert.ok(rejected, `${what}: expected a rejection, got ${describe(fetched as Fetched | undefined)}`)
  }

  async function eventually(holds: () => boolean | Promise<boolean>, message: () => string): Promise<void> {
    const end = steadyNow() + patience_ms
    while (!(await holds())) {
      if (steadyNow() > end) assert.fail(`${message()} within ${patience_ms} ms`)
      await pause(10)
    }
  }

  async function recovers(document: Uint8Array): Promise<void> {
    let came = ''
    const tries = async () => {
      try {
        const fetched = await fetch()
        came = describe(fetched)
        return fetched.unchanged !== true && isSame(fetched.bytes, document)
      } catch (error) {
        came = (error as Error).message
        return false
      }
    }
    await eventually(tries, () => `expected the document again (the last one: ${came})`)
  }

  return Object.freeze({
    source,
    fixture,
    limits,
    settle,
    fetch,
    expectDocument,
    expectRejection,
    eventually,
    recovers,
    async publish(text: string): Promise<Uint8Array> {
      const bytes = Buffer.from(JSON.stringify({ domains: [], text }))
      await fixture.publish(bytes)
      return bytes
    },
  })
}

/** Fails with a message that says where the two part. */
export function assertSame(came: Uint8Array | undefined, expected: Uint8Array, what: string): void {
  assert.ok(came instanceof Uint8Array, `${what}: expected bytes (a Uint8Array), got ${describeType(came)}`)
  if (isSame(came, expected)) return
  const at = expected.findIndex((byte, index) => came[index] !== byte)
  const place = at === -1 ? `${came.length - expected.length} more` : `another from byte ${at} on`
  assert.fail(`${what}: expected the ${expected.length} bytes that were published, got ${came.length}: ${place}`)
}

function isSame(came: Uint8Array, expected: Uint8Array): boolean {
  return Buffer.compare(came, expected) === 0
}

function describe(fetched: Fetched | undefined): string {
  if (fetched?.unchanged === true) return 'unchanged'
  return fetched?.bytes instanceof Uint8Array ? `a document of ${fetched.bytes.length} bytes` : describeType(fetched)
}

function describeType(value: unknown): string {
  return value === null || value === undefined ? 'nothing' : `a value of type ${typeof value}`
}
