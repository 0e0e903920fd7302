import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { dynacode } from '../../../lib/index.ts'
import { startApp } from '../../fixtures/app.ts'
import { createInstance } from '../../fixtures/instance.ts'
import { tries } from '../../fixtures/tries.ts'

const content = (name: string, code = `say('${name}')`, fields: object = {}) => ({
  name,
  phase: 'content',
  code,
  ...fields,
})
const at = (host: string) => ({ Host: host })

describe('requests after a faulty update', () => {
  const GOOD = {
    domains: [
      { name: 'a.test', plugins: [content('old')] },
      { name: 'b.test', plugins: [content('b1')] },
    ],
  }
  const changed = (domain: unknown, shared: unknown[] = []) => ({
    domains: [domain, { name: 'b.test', plugins: [content('b1', `say('b2')`)] }],
    plugins: shared,
  })

  test.each([
    ['does not compile', changed({ name: 'a.test', plugins: [content('old', '(')] })],
    ['has a phase that is none', changed({ name: 'a.test', plugins: [content('old', '', { phase: 'plugins' })] })],
    ['lost its code', changed({ name: 'a.test', plugins: [content('old', undefined, { code: null })] })],
    ['stands in a domain without a list', changed({ name: 'a.test', plugins: {} })],
    ['refers to an id that is gone', changed({ name: 'a.test', plugins: [{ name: 'old', id: 9 }] })],
    ['is shared, and broken there', changed({ name: 'a.test', plugins: [9] }, [content('old', '(', { id: 9 })])],
  ])('see the last good version of a plugin that %s, and the others anew', async (_, document) => {
    const app = await startApp({ document: GOOD })
    await app.serve(document)
    await app.request.get('/').set(at('a.test')).expect(200, 'old\n')
    await app.request.get('/').set(at('b.test')).expect(200, 'b2\n')
    const [state] = app.dyna.status().plugins.filter(({ domain }) => domain === 'a.test')
    expect(state).toMatchObject({ name: 'old', state: 'last_good', error: expect.any(String) })
    await app.serve(changed({ name: 'a.test', plugins: [content('old', `say('new')`)] }))
    await app.request.get('/').set(at('a.test')).expect(200, 'new\n')
    expect(app.dyna.status().plugins.map(({ state }) => state)).toEqual(['live', 'live'])
  })

  test.each([
    ['no domains', { plugins: [] }],
    ['a domain without a name', { domains: [...GOOD.domains, { plugins: [] }] }],
    ['a plugin that nobody can name', changed({ name: 'a.test', plugins: [{ phase: 'log', code: '' }] })],
  ])('see nothing of a document with %s', async (_, document) => {
    const app = await startApp({ document: GOOD })
    await app.serve(document)
    await app.request.get('/').set(at('a.test')).expect(200, 'old\n')
    await app.request.get('/').set(at('b.test')).expect(200, 'b1\n')
  })

  test('do not see a plugin that was removed', async () => {
    const app = await startApp({ document: GOOD })
    await app.serve({ domains: [{ name: 'a.test', plugins: [] }] })
    await app.request.get('/').set(at('a.test')).expect(200, 'app')
    await app.request.get('/').set(at('b.test')).expect(200, 'app')
    expect(app.dyna.status().plugins).toEqual([])
  })

  test('get 503 where a plugin that fails closed never worked, and only there', async () => {
    const app = await startApp({
      document: {
        domains: [
          { name: 'a.test', plugins: [content('guarded', '(', { on_failure: 'closed' }), content('other')] },
          { name: 'b.test', plugins: [content('open', '(')] },
        ],
      },
    })
    await app.request.get('/').set(at('a.test')).expect(503)
    await app.request.get('/').set(at('b.test')).expect(200, 'app')
    expect(app.dyna.status().plugins.map(({ name, state, sha1 }) => [name, state, sha1])).toEqual([
      ['guarded', 'guarded', null],
      ['other', 'live', expect.stringMatching(/^[0-9a-f]{40}$/)],
      ['open', 'refused', null],
    ])
    await app.serve({
      domains: [{ name: 'a.test', plugins: [content('guarded', `say('repaired')`, { on_failure: 'closed' })] }],
    })
    await app.request.get('/').set(at('a.test')).expect(200, 'repaired\n')
  })

  test('are disabled and enabled by the document', async () => {
    const app = await startApp({ document: GOOD })
    await app.serve({ ...GOOD, general: { status: 'disabled' } })
    expect(app.dyna.status().enabled).toBe(false)
    await app.request.get('/').set(at('a.test')).expect(200, 'app')
    await app.serve(GOOD)
    await app.request.get('/').set(at('a.test')).expect(200, 'old\n')
  })
})

/** A valid document, some of whose values can be replaced by anything. */
const VALID = {
  general: { status: 'enabled', skip_domains: ['skip.test'], version: 3 },
  domains: [
    {
      name: 'a.test',
      plugins: [content('p', 'say(1)', { id: 5, params: { a: 1 }, priority: 1 }), 7, { id: 8, params: { b: 2 } }],
    },
    { name: '*.test', plugins: [content('q', 'say(2)', { on_failure: 'closed' })] },
  ],
  plugins: [content('s', 'say(3)', { id: 7 }), content('t', 'say(4)', { id: 8 })],
}

type Path = readonly (string | number)[]

/** Every place in a JSON value. */
function placesOf(value: unknown, path: Path = []): Path[] {
  if (typeof value !== 'object' || value === null) return [path]
  return [
    path,
    ...Object.entries(value).flatMap(([key, child]) =>
      placesOf(child, [...path, Array.isArray(value) ? Number(key) : key]),
    ),
  ]
}

/** A copy of the value with something else at the place; undefined takes it out. */
function replaceAt(value: unknown, [key, ...rest]: Path, by: unknown): unknown {
  if (key === undefined) return by
  const copy = (Array.isArray(value) ? [...value] : { ...(value as object) }) as Record<string | number, unknown>
  copy[key] = replaceAt(copy[key], rest, by)
  return copy
}

describe('any document', () => {
  const anything = fc.oneof(
    fc.jsonValue(),
    fc.constantFrom<unknown>(
      undefined,
      null,
      0,
      '',
      [],
      {},
      '(',
      'closed',
      'disabled',
      '__proto__',
      '*',
      7,
      'x'.repeat(2000),
    ),
  )
  const mutation = fc.record({ place: fc.constantFrom(...placesOf(VALID)), by: anything })

  /** An instance whose source returns what it is told, with the valid document live. */
  async function start() {
    let bytes: Uint8Array = Buffer.from(JSON.stringify(VALID))
    const dyna = createInstance({ source: { fetch: async () => ({ bytes }) }, plugin_api_poll_at_init: false })
    await dyna.refresh()
    return {
      dyna,
      serve(document: unknown) {
        bytes = document instanceof Uint8Array ? document : Buffer.from(JSON.stringify(document) ?? '')
        return dyna.refresh()
      },
    }
  }
  const liveIn = (dyna: ReturnType<typeof dynacode>) => {
    const { version, enabled, since, plugins } = dyna.status()
    return { version, enabled, since, plugins }
  }

  test('with something else in any place of it is refused whole, or goes live whole', async () => {
    const { dyna, serve } = await start()
    await fc.assert(
      fc.asyncProperty(fc.array(mutation, { minLength: 1, maxLength: 3 }), async (mutations) => {
        await serve(VALID)
        const before = liveIn(dyna)
        const document = mutations.reduce<unknown>((each, { place, by }) => replaceAt(each, place, by), VALID)
        const refresh = await serve(document)
        const after = liveIn(dyna)
        if (refresh.updated) {
          const said = (document as { general?: { version?: unknown } }).general?.version
          if (typeof said === 'string' || typeof said === 'number') expect(after.version).toBe(said)
          expect(refresh.plugins).toBe(after.plugins.filter(({ state }) => state !== 'refused').length)
          // Whatever the document says of itself, a plugin without a fault of its own is live as it is there.
          for (const { state, error } of after.plugins) expect(error === null).toBe(state === 'live')
        } else {
          expect(after).toEqual(before)
          expect(['unchanged', 'invalid']).toContain(refresh.reason)
        }
        expect(Object.keys(Object.prototype)).toEqual([])
      }),
      tries(62),
    )
  })

  test('of any bytes is refused whole, or goes live whole', async () => {
    const { dyna, serve } = await start()
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc.json().map((text) => Buffer.from(text)),
      fc.tuple(fc.nat(), fc.nat(255)).map(([where, what]) => {
        const copy = Buffer.from(JSON.stringify(VALID))
        copy[where % copy.length] = what
        return copy
      }),
    )
    await fc.assert(
      fc.asyncProperty(bytes, async (each) => {
        await serve(VALID)
        const before = liveIn(dyna)
        const refresh = await serve(each)
        if (!refresh.updated) expect(liveIn(dyna)).toEqual(before)
      }),
      tries(62),
    )
  })
})
