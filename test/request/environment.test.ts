import { once } from 'node:events'
import { createServer } from 'node:http'
import createDebug from 'debug'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { createDeferred, everywhere, failures, listen, plugin, startApp } from '../fixtures/app.ts'

describe('exit', () => {
  it.each(['rewrite', 'access', 'content', 'balancer', 'header_filter', 'body_filter'] as const)(
    'ends the request in %s, with status, body and headers',
    async (phase) => {
      const running = await startApp({
        plugins: [
          plugin(phase, `exit(402, { pay: 'me' }, { 'X-Price': '5', 'Set-Cookie': ['a=1', 'b=2'] }); ctx.status = 200`),
        ],
      })
      await running.request
        .get('/')
        .expect(402, { pay: 'me' })
        .expect('X-Price', '5')
        .expect('Set-Cookie', 'a=1,b=2')
        .expect('Content-Type', /json/)
      expect(failures(running)).toEqual([])
      expect(running.errors).toEqual([])
    },
  )

  it.each(['rewrite', 'access', 'content', 'balancer', 'header_filter', 'body_filter'] as const)(
    'ends it in asynchronous code of %s',
    async (phase) => {
      const { request } = await startApp({ plugins: [plugin(phase, `await null; exit(401)`)] })
      await request.get('/').expect(401, 'Unauthorized')
    },
  )

  it('keeps the later plugins of its phase from running', async () => {
    const ran = vi.fn()
    for (const code of ['exit(403)', 'await null; exit(403)']) {
      const { request } = await startApp({
        plugins: [plugin('access', code), plugin('access', 'ran()')],
        options: { globals: { ran } },
      })
      await request.get('/').expect(403)
    }
    expect(ran).not.toHaveBeenCalled()
  })

  it.each([
    ['swallows what it throws', `try { exit(403, 'no') } catch {}; ctx.body = 'yes'`],
    ['swallows it in a promise', `await Promise.resolve().then(() => exit(403, 'no')).catch(() => {})`],
    ['throws something else after it', `try { exit(403, 'no') } catch { throw new Error('other') }`],
    ['throws an http-error after it', `try { exit(403, 'no') } catch { ctx.throw(418) }`],
    ['returns in finally', `try { exit(403, 'no') } finally { return 'yes' }`],
    ['calls it in a callback', `[1, 2].forEach(() => exit(403, 'no'))`],
    ['passes its status as text', `exit('403', 'no')`],
  ])('holds even if the plugin %s', async (_what, code) => {
    const inner = vi.fn()
    const { request } = await startApp({ plugins: [plugin('access', code)], inner: () => inner() })
    await request.get('/').expect(403, 'no')
    expect(inner).not.toHaveBeenCalled()
  })

  it.each([
    ['undefined', ''],
    ['100', '100'],
    ['600', '600'],
    ['403.5', '403.5'],
    ['NaN', 'NaN'],
    ["'forbidden'", `'forbidden'`],
    ['null', 'null'],
    ['a symbol', 'Symbol()'],
    ['an object', '{}'],
    ['an object that throws', `{ valueOf() { throw new Error('valueOf') } }`],
  ])('lets nobody through with %s as its status: 500, and an event', async (_what, status) => {
    const inner = vi.fn()
    for (const code of [`exit(${status})`, `try { exit(${status}) } catch {}`]) {
      const running = await startApp({ plugins: [plugin('access', code)], inner: () => inner() })
      await running.request.get('/').expect(500, 'Internal Server Error')
      if (!code.startsWith('try')) expect(failures(running)).toEqual([expect.objectContaining({ outcome: 'closed' })])
    }
    expect(inner).not.toHaveBeenCalled()
  })

  it('has no effect after the plugin has ended, and says so to who called it', async () => {
    const held = createDeferred()
    const outcome = createDeferred<unknown>()
    const { request } = await startApp({
      plugins: [
        plugin('access', `held.then(() => { try { exit(403) } catch (error) { outcome(error) } })`),
        plugin('balancer', `release(); await outcome.promise`),
      ],
      options: {
        globals: {
          held: held.promise,
          release: held.resolve,
          outcome: Object.assign(outcome.resolve, { promise: outcome.promise }),
        },
      },
    })
    await request.get('/').expect(200, 'app')
    expect(await outcome.promise).toMatchObject({ code: 'ERR_DYNACODE_EXIT' })
  })
})

describe('say', () => {
  it('appends lines to the text body', async () => {
    const { request } = await startApp({
      plugins: [plugin('content', `say('a'); say('b', 1, true); say(); say('é')`), plugin('content', `say('c')`)],
    })
    await request
      .get('/')
      .expect(200, 'a\nb1true\n\né\nc\n')
      .expect('Content-Type', 'text/plain; charset=utf-8')
      .expect('Content-Length', '15')
  })

  it('is plain text whatever it looks like, unless the plugin chose a type', async () => {
    const { request } = await startApp({
      plugins: [plugin('content', `if (ctx.path === '/html') ctx.type = 'html'; say('<b>hi</b>')`)],
    })
    await request.get('/').expect('Content-Type', /plain/)
    await request.get('/html').expect('Content-Type', /html/)
  })

  it('appends to the body of the app in header_filter', async () => {
    const { request } = await startApp({ plugins: [plugin('header_filter', `say(' and plugin')`)] })
    await request.get('/').expect(200, 'app and plugin\n')
  })

  it('changes nothing once the head is out, or the plugin has ended', async () => {
    const held = createDeferred()
    const { request, errors } = await startApp({
      plugins: [
        plugin('log', `say('late')`),
        plugin('rewrite', `held.then(() => say('late'))`),
        plugin('balancer', `release(); await null`),
      ],
      options: { globals: { held: held.promise, release: held.resolve } },
    })
    await request.get('/').expect(200, 'app')
    expect(errors).toEqual([])
  })
})

describe('log', () => {
  afterEach(() => {
    createDebug.disable()
  })

  it('writes to the debug namespace of the plugin, and nowhere unless that is on', async () => {
    const lines: string[] = []
    vi.spyOn(process.stderr, 'write').mockImplementation((line) => lines.push(String(line)) > 0)
    const document = everywhere([plugin('access', `log('hello %s', ctx.path)`, { name: 'greeter' })])
    const quiet = await startApp({ document })
    await quiet.request.get('/a')
    createDebug.enable('dynacode:plugin:greeter')
    const loud = await startApp({ document })
    await loud.request.get('/b')
    expect(lines.filter((line) => line.includes('greeter'))).toEqual([expect.stringContaining('hello /b')])
  })
})

describe('params', () => {
  it('are those of the document, frozen through and through', async () => {
    const running = await startApp({
      plugins: [
        plugin(
          'access',
          `const tries = [() => { params.a.b.push(1) }, () => { params.x = 1 }, () => { delete params.a }];
           exit(200, { params, frozen: tries.map((attempt) => { try { attempt() } catch { return true } }) })`,
          { params: { a: { b: [1, { c: null }] } } },
        ),
      ],
    })
    await running.request.get('/').expect(200, { params: { a: { b: [1, { c: null }] } }, frozen: [true, true, true] })
  })

  it('are an empty object where the document has none', async () => {
    const { request } = await startApp({ plugins: [plugin('access', 'exit(200, { params })')] })
    await request.get('/').expect({ params: {} })
  })

  it('of a reference are those of the shared plugin, with its own over them', async () => {
    const code = `exit(200, params)`
    const { request } = await startApp({
      document: {
        domains: [{ name: '*', plugins: [{ id: 1, params: { b: 3, c: 4 } }] }],
        plugins: [{ id: 1, name: 'shared', phase: 'access', code, params: { a: 1, b: 2 } }],
      },
    })
    await request.get('/').expect({ a: 1, b: 3, c: 4 })
  })
})

describe('globals', () => {
  it('are the very values of the app', async () => {
    const flags = { on: false }
    const { request } = await startApp({
      plugins: [plugin('access', `flags.seen = true; exit(200, String(flags.on))`)],
      options: { globals: { flags } },
    })
    flags.on = true
    await request.get('/').expect('true')
    expect(flags).toEqual({ on: true, seen: true })
  })

  it('are not shared by assignment: each plugin has names of its own', async () => {
    const { request } = await startApp({
      plugins: [
        plugin('rewrite', `try { limit = 7 } catch {}`),
        plugin('access', `const store = 'mine'; exit(200, limit + store)`),
      ],
      options: { globals: { limit: 5 } },
    })
    await request.get('/').expect('5mine')
  })
})

describe('store', () => {
  it('is one for all plugins and requests, and outlives a change of the document', async () => {
    const { request, serve } = await startApp({ plugins: [plugin('access', `store.incr('n')`)] })
    await request.get('/')
    await request.get('/')
    await serve(everywhere([plugin('content', `say(store.incr('n'))`)]))
    await request.get('/').expect('3\n')
  })

  it('turns a wrong call into a failure of the plugin', async () => {
    const running = await startApp({ plugins: [plugin('access', `store.set('a', 1, 0)`)] })
    await running.request.get('/').expect(200, 'app')
    expect(failures(running)).toEqual([expect.objectContaining({ error: expect.any(TypeError) })])
  })
})

/** A server that never answers, and tells when a request came and when it was given up. */
async function startSilentServer() {
  const [asked, gone] = [createDeferred(), createDeferred()]
  const server = createServer((_request, response) => {
    asked.resolve()
    response.once('close', gone.resolve)
  })
  const port = await listen(server)
  return { uri: `http://127.0.0.1:${port}`, asked: asked.promise, gone: gone.promise }
}

describe('fetch and signal', () => {
  it('fetch fetches', async () => {
    const { api, request } = await startApp({
      plugins: [
        plugin(
          'content',
          `const answer = await fetch(uri()); say(answer.status, (await answer.json()).domains.length)`,
        ),
      ],
      options: { globals: { uri: () => api.uri } },
    })
    await request.get('/').expect(200, '2001\n')
  })

  it('both are aborted when the client goes away', async () => {
    const [reason, logged] = [createDeferred<unknown>(), createDeferred<unknown>()]
    const silent = await startSilentServer()
    const { uri } = await startApp({
      plugins: [
        plugin('access', `signal.addEventListener('abort', () => aborted(signal.reason)); await fetch(silent)`),
        plugin('log', 'logged(signal.aborted)'),
      ],
      options: { globals: { silent: silent.uri, aborted: reason.resolve, logged: logged.resolve } },
    })
    const client = new AbortController()
    const answer = fetch(uri, { signal: client.signal })
    await silent.asked
    client.abort()
    await expect(answer).rejects.toThrow()
    await silent.gone
    expect(await reason.promise).toMatchObject({ code: 'ERR_DYNACODE_ABORTED' })
    // The log phase has its own work to do, whose time begins when the client is done or gone.
    expect(await logged.promise).toBe(false)
  })

  it('both are aborted at the deadline, and the request goes on', async () => {
    const signals: AbortSignal[] = []
    const silent = await startSilentServer()
    const running = await startApp({
      plugins: [plugin('access', `keep(signal); await fetch(silent)`, { timeout_ms: 20 })],
      options: { globals: { silent: silent.uri, keep: (signal: AbortSignal) => void signals.push(signal) } },
    })
    await running.request.get('/').expect(200, 'app')
    await silent.gone
    const [signal] = signals
    expect(signal?.reason).toMatchObject({ code: 'ERR_DYNACODE_TIMEOUT' })
    expect(failures(running)).toEqual([expect.objectContaining({ error: signal?.reason, outcome: 'open' })])
  })

  it('fetch is aborted by a signal of its own as well, in its options or its Request', async () => {
    for (const call of [
      `fetch(silent, { signal: own.signal })`,
      `fetch(new Request(silent, { signal: own.signal }))`,
    ]) {
      const silent = await startSilentServer()
      const running = await startApp({
        plugins: [
          plugin(
            'access',
            `const own = new AbortController(); asked.then(() => own.abort()); await ${call}.catch(() => exit(418))`,
          ),
        ],
        options: { globals: { silent: silent.uri, asked: silent.asked } },
      })
      await running.request.get('/').expect(418)
      await silent.gone
    }
  })

  it('signal does not abort once the plugin has ended', async () => {
    const signals: AbortSignal[] = []
    const reached = createDeferred()
    const { uri, server } = await startApp({
      plugins: [plugin('access', 'keep(signal)')],
      options: { globals: { keep: (signal: AbortSignal) => void signals.push(signal) } },
      inner: async (ctx) => {
        reached.resolve()
        await once(ctx.res, 'close')
      },
    })
    const client = new AbortController()
    const answer = fetch(uri, { signal: client.signal })
    await reached.promise
    client.abort()
    await expect(answer).rejects.toThrow()
    server.closeAllConnections()
    expect(signals.map(({ aborted }) => aborted)).toEqual([false])
  })

  it('a log plugin can send what it has to say even of a request whose client is gone', async () => {
    const collected = createDeferred<string>()
    const collector = createServer((request, response) => {
      collected.resolve(request.url ?? '')
      response.end()
    })
    const port = await listen(collector)
    const reached = createDeferred()
    const { uri } = await startApp({
      plugins: [plugin('log', `await fetch('http://127.0.0.1:${port}/' + ctx.res.writableFinished)`)],
      inner: async (ctx) => {
        reached.resolve()
        await once(ctx.res, 'close')
      },
    })
    const client = new AbortController()
    const answer = fetch(uri, { signal: client.signal })
    await reached.promise
    client.abort()
    await expect(answer).rejects.toThrow()
    expect(await collected.promise).toBe('/false')
  })
})

describe('the names in scope', () => {
  it('are chunk and last only in body_filter', async () => {
    const seen: unknown[] = []
    const phases = ['rewrite', 'access', 'content', 'balancer', 'header_filter', 'log'] as const
    const { request } = await startApp({
      plugins: phases.map((phase) => plugin(phase, 'seen.push(chunk, last)')),
      options: { globals: { seen } },
    })
    await request.get('/')
    await vi.waitFor(() => expect(seen).toHaveLength(12), { interval: 1 })
    expect(new Set(seen)).toEqual(new Set([undefined]))
  })

  it('are in strict mode, with no this', async () => {
    const running = await startApp({
      plugins: [plugin('access', `exit(200, String(this) + (function () { return this })())`)],
    })
    await running.request.get('/').expect('undefinedundefined')
    await running.serve(everywhere([plugin('access', 'undeclared = 1')]))
    await running.request.get('/').expect(200, 'app')
    expect(failures(running)).toEqual([expect.objectContaining({ error: expect.any(ReferenceError) })])
  })

  it('include ctx, the very context of the app', async () => {
    const seen: unknown[] = []
    const { request } = await startApp({
      plugins: [plugin('access', 'seen.push(ctx)')],
      options: { globals: { seen } },
      inner: (ctx) => {
        seen.push(ctx)
        ctx.body = 'app'
      },
    })
    await request.get('/').expect(200)
    expect(seen[0]).toBe(seen[1])
  })
})
