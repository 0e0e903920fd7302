import assert from 'node:assert/strict'
import { assertSame, type Check } from './bench.ts'

/** What every source's `fetch` must do, by its name. */
export const FETCH_CASES: Readonly<Record<string, Check>> = Object.freeze({
  'returns the bytes that were published, exactly': async ({ publish, expectDocument }) => {
    await expectDocument(await publish('ünïcode ☃ 😀 "quoted" \\ \u2028'))
    return undefined
  },

  'returns the document that was published last': async ({ publish, expectDocument }) => {
    await expectDocument(await publish('first'))
    await expectDocument(await publish('second'), undefined, 'the fetch after a second document was published')
    return undefined
  },

  'returns the document each time that it is asked without a tag': async ({ publish, expectDocument }) => {
    const document = await publish('one')
    for (const which of ['first', 'second', 'third']) await expectDocument(document, undefined, `the ${which} fetch`)
    return undefined
  },

  'says unchanged, or returns the same bytes, when its tag is handed back': async ({ publish, fetch }) => {
    const document = await publish('one')
    const { tag } = (await fetch()) as { tag?: unknown }
    if (tag === undefined || tag === null) return 'the source gives no tags'
    assert.ok(typeof tag === 'string', `expected a tag that is a string, got one of type ${typeof tag}`)
    const again = await fetch(tag)
    if (again.unchanged !== true) assertSame(again.bytes, document, 'the fetch with its own tag')
    return undefined
  },

  'returns the new document to the tag of an earlier one': async ({ publish, fetch, expectDocument }) => {
    await publish('first')
    const { tag } = (await fetch()) as { tag?: string }
    if (tag === undefined) return 'the source gives no tags'
    await expectDocument(await publish('second'), tag, 'the fetch with the tag of the first document')
    return undefined
  },

  'returns the document to a tag that it never gave': async ({ publish, expectDocument }) => {
    await expectDocument(await publish('one'), '"never-given"', 'the fetch with a tag that it never gave')
    return undefined
  },

  'returns a big document whole': async ({ publish, expectDocument, limits }) => {
    const document = await publish('0123456789abcdef'.repeat(limits.big_bytes / 16))
    await expectDocument(document, undefined, 'the fetch of a big document')
    return undefined
  },

  'returns the document to fetches at the same time': async ({ publish, expectDocument }) => {
    const document = await publish('one')
    const fetches = Array.from({ length: 10 }, (_, index) =>
      expectDocument(document, undefined, `fetch ${index + 1} of 10 at the same time`),
    )
    await Promise.all(fetches)
    return undefined
  },

  'rejects while there is no document': async ({ fixture, publish, expectRejection, expectDocument }) => {
    await expectRejection('nothing was published yet')
    await expectDocument(await publish('one'), undefined, 'the fetch after the first document was published')
    if (fixture.clear === undefined) return undefined
    await fixture.clear()
    await expectRejection('the document is taken away')
    await expectDocument(await publish('two'), undefined, 'the fetch after a document was published again')
    return undefined
  },

  'rejects while what is behind it is broken, and recovers': async (bench) => {
    const { fixture, publish, expectDocument, expectRejection, recovers } = bench
    if (fixture.break === undefined || fixture.mend === undefined) return 'the fixture has no break() and mend()'
    await expectDocument(await publish('one'))
    await fixture.break()
    await expectRejection('what is behind the source is broken')
    await fixture.mend()
    await recovers(await publish('two'))
    return undefined
  },

  'gives up at once when its signal aborts': async ({
    fixture,
    publish,
    expectRejection,
    expectDocument,
    recovers,
  }) => {
    const document = await publish('one')
    await expectRejection('its signal has aborted before', AbortSignal.abort())
    await expectDocument(document, undefined, 'the fetch after one that was aborted')
    if (fixture.stall === undefined || fixture.mend === undefined) return undefined
    await fixture.stall()
    await expectRejection('no answer comes, and its signal aborts after 50 ms', AbortSignal.timeout(50))
    await fixture.mend()
    await recovers(document)
    return undefined
  },
})
