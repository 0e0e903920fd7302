import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import createError from 'http-errors'
import request from 'supertest'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { CompileError, DocumentError, OptionError } from '../../lib/index.ts'
import { plugin_app, stream_body } from '../../lib/testing/index.ts'

const get = (app: { callback(): Parameters<typeof request>[0] }, path = '/') => request(app.callback()).get(path)

const folders: string[] = []

afterEach(async () => {
  vi.useRealTimers()
  await Promise.all(folders.splice(0).map((folder) => rm(folder, { recursive: true, force: true })))
})

async function createFolder(files: Record<string, string>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'plugin-app-'))
  folders.push(folder)
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text)
  return folder
}

const MANIFEST = JSON.stringify({
  domains: [{ name: '*', plugins: [{ name: 'hello', phase: 'content', file: 'hello.js' }] }],
})

describe('what is given', () => {
  test('may be one plugin, without a name', async () => {
    const app = await plugin_app({ phase: 'access', code: 'exit(403)' })
    await get(app).expect(403)
  })

  test('may be several plugins', async () => {
    const app = await plugin_app([
      { phase: 'content', code: "say('one')" },
      { phase: 'content', code: "say('two')" },
      { name: 'named', phase: 'header_filter', code: "ctx.set('x-three', '3')" },
    ])
    await get(app).expect(200, 'one\ntwo\n').expect('x-three', '3')
    expect(app.dyna.status().plugins.map(({ name }) => name)).toEqual(['plugin 1', 'plugin 2', 'named'])
  })

  test('may be a whole document', async () => {
    const app = await plugin_app({
      domains: [{ name: 'a.com', plugins: [1] }],
      plugins: [{ id: 1, name: 'hello', phase: 'content', code: "say('hello')" }],
    })
    await get(app).set('Host', 'a.com').expect('hello\n')
    await get(app).set('Host', 'b.com').expect('app')
  })

  test('may be a folder, by its path, its URL or its manifest', async () => {
    const folder = await createFolder({ 'dynacode.json': MANIFEST, 'hello.js': "say('from a file')" })
    for (const given of [folder, pathToFileURL(folder), join(folder, 'dynacode.json')]) {
      const app = await plugin_app(given)
      await get(app).expect('from a file\n')
    }
  })

  test.each([[undefined], [42]])('may not be %s', async (given) => {
    await expect(plugin_app(given as never)).rejects.toThrow(
      `plugin_app(given): expected a plugin, a document or a path, got ${typeof given}`,
    )
  })
})

describe('what is refused', () => {
  test('is told with plugin, line and column where code does not compile', async () => {
    const error = await plugin_app({ name: 'p', phase: 'access', code: '\nexit(' }).catch((error) => error)
    expect(error).toBeInstanceOf(CompileError)
    expect(error).toMatchObject({ plugin: 'p', line: 2, message: expect.stringMatching(/^plugin "p":2/) })
  })

  test('is told with plugin and place where a field is wrong', async () => {
    const error = await plugin_app({ name: 'p', phase: 'acces' as never, code: '' }).catch((error) => error)
    expect(error).toBeInstanceOf(DocumentError)
    expect(error).toMatchObject({ path: 'domains[0].plugins[0].phase' })
    expect(error.message).toMatch(/^domains\[0\]\.plugins\[0\]\.phase: expected .* got "acces" \(plugin "p"\)$/)
  })

  test('is told all at once where there is more than one fault', async () => {
    const plugins = [
      { name: 'p', phase: 'access', code: '(' },
      { name: 'q', phase: 'access', code: ')' },
    ] as const
    const error = await plugin_app(plugins).catch((error) => error)
    expect(error).toBeInstanceOf(AggregateError)
    expect(error.message).toMatch(/^2 plugins or domains are refused:\n- plugin "p":1.*\n- plugin "q":1/)
    expect(error.errors).toHaveLength(2)
  })

  test('may be a domain', async () => {
    await expect(plugin_app({ domains: [{ name: '(', plugins: [] }] })).rejects.toThrow(/^domains\[0\]\.name: /)
  })

  test('may be the whole document, or the folder', async () => {
    await expect(plugin_app({ domains: 'none' } as never)).rejects.toThrow(/^domains: expected/)
    await expect(plugin_app('/no/such/folder')).rejects.toThrow('/no/such/folder: there is no such folder')
  })

  test('is left out as in production where that is allowed', async () => {
    const app = await plugin_app({ phase: 'access', code: '(', on_failure: 'closed' }, { allow_refused: true })
    await get(app).expect(503)
    expect(app.events_of('bg_compile_error')).toHaveLength(1)
  })

  test.each([
    [{ glbals: {} }, /glbals/],
    [{ options: { source: {} } }, /option options\.source: /],
    [{ options: { bugdet_ms: 5 } }, /bugdet_ms.*budget_ms/],
  ])('options %j are', async (options, message) => {
    const error = await plugin_app([], options as never).catch((error) => error)
    expect(error).toBeInstanceOf(OptionError)
    expect(error.message).toMatch(message)
  })
})

describe('the app behind the plugins', () => {
  const nothing: [] = []

  test('answers "app" unless told otherwise', async () => {
    await get(await plugin_app(nothing)).expect(200, 'app')
  })

  test('answers with a body', async () => {
    await get(await plugin_app(nothing, { app: { price: 5 } })).expect(200, { price: 5 })
    await get(await plugin_app(nothing, { app: '' })).expect(200, '')
    await get(await plugin_app(nothing, { app: null })).expect(404)
  })

  test('is middleware, one or many', async () => {
    const one = await plugin_app(nothing, {
      app: (ctx) => {
        ctx.body = ctx.path
      },
    })
    await get(one, '/here').expect('/here')
    const many = await plugin_app(nothing, {
      app: [
        async (ctx, next) => {
          await next()
          ctx.set('x-first', '1')
        },
        (ctx) => {
          ctx.body = 'second'
        },
      ],
    })
    await get(many).expect('second').expect('x-first', '1')
  })

  test('throws an error, of which nothing is on stderr', async () => {
    const stderr = vi.spyOn(console, 'error')
    const app = await plugin_app(
      { phase: 'header_filter', code: "ctx.set('x-filtered', 'yes')" },
      { app: createError(502, 'no upstream', { expose: true }) },
    )
    await get(app).expect(502, 'no upstream').expect('x-filtered', 'yes')
    expect(app.errors).toMatchObject([{ message: 'no upstream' }])
    expect(stderr).not.toHaveBeenCalled()
  })

  test('streams, chunk by chunk, for each request anew', async () => {
    const app = await plugin_app(
      { phase: 'body_filter', code: "return '[' + (typeof chunk === 'string' ? chunk : Buffer.from(chunk)) + ']'" },
      { app: stream_body(['<p>hel', Buffer.from('lo</p>')], 'text/plain') },
    )
    for (let index = 0; index < 2; index += 1) {
      const { text, headers } = await get(app)
      expect(text).toMatch(/^\[<p>hel\]\[lo<\/p>\](\[\])?$/)
      expect(headers['content-type']).toBe('text/plain; charset=utf-8')
    }
  })

  test('streams until it breaks', async () => {
    const app = await plugin_app(nothing, { app: stream_body(['half', new Error('gone')]) })
    await expect(get(app)).rejects.toThrow(/aborted|hang up/)
    expect(app.errors).toMatchObject([{ message: 'gone' }])
  })

  test('may not be a stream, which answers only once', async () => {
    await expect(plugin_app(nothing, { app: new ReadableStream() })).rejects.toThrow('use stream_body(chunks)')
  })
})

test('plugins have the globals', async () => {
  const app = await plugin_app({ phase: 'content', code: 'say(greeting)' }, { globals: { greeting: 'hi' } })
  await get(app).expect('hi\n')
})

test('further options hold', async () => {
  const app = await plugin_app(
    { phase: 'content', code: 'for (;;);' },
    { options: { budget_ms: 5, breaker_failures: 1 } },
  )
  await get(app).expect('app')
  expect(app.events_of('rt_plugins_error')).toMatchObject([{ error: { code: 'ERR_DYNACODE_BUDGET' } }])
  expect(app.events_of('rt_breaker_opened')).toHaveLength(1)
})

describe('time', () => {
  const TIMED = {
    phase: 'access',
    code: 'exit(403)',
    starts_at: '2030-01-01T00:00:00Z',
    expires_at: '2030-01-02T00:00:00Z',
  } as const

  test('is when plugins start and end', async () => {
    const app = await plugin_app(TIMED, { now: new Date('2029-12-31T23:59:59Z') })
    await get(app).expect(200)
    expect(app.dyna.status().plugins).toMatchObject([{ state: 'scheduled' }])
    app.advance_seconds(1)
    await get(app).expect(403)
    expect(app.events_of('bg_plugin_expired')).toEqual([])
    app.set_time('2030-01-02T00:00:00Z')
    await get(app).expect(200)
    expect(app.dyna.status().plugins).toMatchObject([{ state: 'expired' }])
    expect(app.events_of('bg_plugin_expired')).toMatchObject([{ at: Date.parse(TIMED.expires_at) }])
  })

  test('is when a plugin has ended before it came', async () => {
    const app = await plugin_app(TIMED, { now: '2031-01-01T00:00:00Z' })
    expect(app.events.map(({ name }) => name).slice(-2)).toEqual(['bg_updated_plugins', 'bg_plugin_expired'])
  })

  test('may be a function', async () => {
    let now = Date.parse('2029-12-31T00:00:00Z')
    const app = await plugin_app(TIMED, { now: () => now })
    await get(app).expect(200)
    now += 36 * 3600 * 1000
    await get(app).expect(403)
    now += 24 * 3600 * 1000
    await get(app).expect(200)
    expect(app.events_of('bg_plugin_expired')).toHaveLength(1)
  })

  test('is what values in the store live by', async () => {
    const app = await plugin_app({ phase: 'content', code: "say(store.incr('n', 1, 0, 60))" }, { now: 0 })
    await get(app).expect('1\n')
    app.advance_seconds(60)
    await get(app).expect('2\n')
    app.advance_seconds(1)
    await get(app).expect('1\n')
  })

  test('is what breakers open and close by', async () => {
    const app = await plugin_app(
      { phase: 'content', code: "if (ctx.query.bad) throw new Error('bad')\nsay('good')" },
      { options: { breaker_failures: 2 }, now: '2030-01-01T00:00:00Z' },
    )
    await get(app, '/?bad=1').expect('app')
    await get(app, '/?bad=1').expect('app')
    await get(app).expect('app')
    app.advance_seconds(120)
    await get(app).expect('good\n')
    expect(app.events_of('rt_breaker_closed')).toHaveLength(1)
  })

  test('is what plugins see as Date', async () => {
    const code = `class Day extends Date { day() { return this.getUTCDate() } }
      const dates = [new Date(), new Day(), new Date(0), Date.now(), Date.UTC(1970), new Day().day()]
      ctx.body = [...dates, Date() === String(new Date()), dates[0] instanceof Date, dates[1] instanceof Day]`
    const app = await plugin_app({ phase: 'content', code }, { now: '2030-01-05T00:00:00Z' })
    const now = '2030-01-05T00:00:00.000Z'
    const epoch = '1970-01-01T00:00:00.000Z'
    await get(app).expect([now, now, epoch, Date.parse(now), 0, 5, true, true, true])
  })

  test('is that of the machine until it is set', async () => {
    vi.useFakeTimers({ toFake: ['Date'], now: Date.parse('2030-01-01T12:00:00Z') })
    const app = await plugin_app(TIMED)
    await get(app).expect(403)
    vi.setSystemTime('2030-01-03T00:00:00Z')
    await get(app).expect(200)
  })

  test('has to be one', async () => {
    await expect(plugin_app([], { now: 'soon' })).rejects.toThrow('expected a time')
  })
})

describe('events', () => {
  test('are all recorded, in order, with their payloads', async () => {
    const app = await plugin_app({ name: 'p', phase: 'access', code: '' })
    await get(app)
    expect(app.events.map(({ name }) => name)).toEqual([
      'bg_cache_miss',
      'bg_fetch_api_success',
      'bg_compile_success',
      'bg_updated_plugins',
      'rt_plugins_starting',
      'rt_plugins_done',
    ])
    expect(app.events.at(-1)?.payload).toMatchObject({ plugin: { name: 'p' }, phase: 'access', host: '127.0.0.1' })
  })

  test('of the phase log are there once the app has settled', async () => {
    const code = "await new Promise((resolve) => setTimeout(resolve, 20))\nstore.incr('logged')"
    const app = await plugin_app([
      { name: 'first', phase: 'log', code },
      { name: 'second', phase: 'log', code: '' },
      { phase: 'content', code: "say(store.get('logged') ?? 0)" },
    ])
    await get(app).expect('0\n')
    await app.settled()
    expect(app.events_of('rt_plugins_done').map(({ plugin }) => plugin.name)).toEqual(['plugin 3', 'first', 'second'])
    await get(app).expect('1\n')
  })
})

describe('another document', () => {
  test('takes the place of the first', async () => {
    const app = await plugin_app({ phase: 'content', code: "say('one')" })
    await get(app).expect('one\n')
    expect(await app.document({ phase: 'content', code: "say('two')" })).toMatchObject({ updated: true, compiled: 1 })
    await get(app).expect('two\n')
  })

  test('is refused as the first would be, which stays', async () => {
    const app = await plugin_app({ phase: 'content', code: "say('one')" })
    await expect(app.document({ phase: 'content', code: 'say(' })).rejects.toBeInstanceOf(CompileError)
    await get(app).expect('one\n')
    expect(await app.document({ phase: 'content', code: "say('one')" })).toMatchObject({ updated: true })
  })

  test('is the folder as it is now', async () => {
    const folder = await createFolder({ 'dynacode.json': MANIFEST, 'hello.js': "say('one')" })
    const app = await plugin_app(folder)
    await writeFile(join(folder, 'hello.js'), "say('two')")
    await app.document()
    await get(app).expect('two\n')
  })
})

describe('rollout_key', () => {
  const at = (rollout: object) => ({ name: 'p', phase: 'content', code: "say('in')", rollout }) as const

  test('finds keys inside and outside', async () => {
    const app = await plugin_app(at({ percent: 1, by: 'header:x-user' }))
    await get(app).set('X-User', app.rollout_key('p')).expect('in\n')
    await get(app)
      .set('X-User', app.rollout_key('p', { inside: false }))
      .expect('app')
  })

  test('finds addresses where the rollout is by them', async () => {
    const app = await plugin_app(at({ percent: 5 }))
    app.proxy = true
    await get(app).set('X-Forwarded-For', app.rollout_key('p')).expect('in\n')
    await get(app)
      .set('X-Forwarded-For', app.rollout_key('p', { inside: false }))
      .expect('app')
  })

  test('finds keys for the first of a list', async () => {
    const app = await plugin_app(at({ percent: 1, by: ['header:x-user', 'ip'] }))
    await get(app).set('X-User', app.rollout_key('p')).expect('in\n')
    await get(app)
      .set('X-User', app.rollout_key('p', { inside: false }))
      .expect('app')
  })

  test('finds keys of the step that a rollout is at', async () => {
    const steps = [{ percent: 1, for: '1h' }, { percent: 50 }]
    const fields = { ...at({ by: 'header:x-user', steps }), starts_at: '2030-01-01T00:00:00Z' }
    const app = await plugin_app(fields, { now: '2030-01-01T00:10:00Z' })
    await get(app).set('X-User', app.rollout_key('p')).expect('in\n')
    const outside = app.rollout_key('p', { inside: false })
    await get(app).set('X-User', outside).expect('app')
    app.set_time('2030-01-01T01:00:00Z')
    await get(app).set('X-User', app.rollout_key('p')).expect('in\n')
  })

  test('finds keys of a variant', async () => {
    const app = await plugin_app({
      name: 'p',
      phase: 'content',
      rollout: { by: 'query:user' },
      variants: [
        { name: 'a', percent: 50, code: "say('a')" },
        { name: 'b', percent: 50, code: "say('b')" },
      ],
    })
    await get(app, `/?user=${app.rollout_key('p/a')}`).expect('a\n')
    await get(app, `/?user=${app.rollout_key('p/b')}`).expect('b\n')
  })

  test('knows the plugins that are live now', async () => {
    const app = await plugin_app([])
    await app.document(at({ percent: 50, by: 'header:x-user' }))
    await get(app).set('X-User', app.rollout_key('p')).expect('in\n')
  })

  test('says where there is no such key', async () => {
    const app = await plugin_app([at({ percent: 0 }), { ...at({ percent: 5, by: 'random' }), name: 'q' }])
    expect(() => app.rollout_key('p')).toThrow('no key is inside the share of "p", from 0 to 0 percent')
    expect(() => app.rollout_key('q')).toThrow('the rollout of "q" is by chance')
    expect(() => app.rollout_key('r')).toThrow('there is no plugin "r", only "p", "q"')
  })
})

test('nothing runs after close()', async () => {
  const app = await plugin_app({ phase: 'access', code: 'exit(403)' })
  await app.close()
  await get(app).expect(200, 'app')
})
