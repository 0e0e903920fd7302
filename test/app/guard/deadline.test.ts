import { createServer, get, type Server } from 'node:http'
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises'
import { describe, expect, it, vi } from 'vitest'
import { createDeferred, failures, listen, type PluginFields, plugin, startApp } from '../../fixtures/app.ts'

const TIMEOUT_MS = 20
/** After their deadline, however busy the machine is. */
const LATE_MS = 600_000

/** When timers of the plugins' own would fire, and the app answers only after that. */
const SOON_MS = 500
const wait = 'new Promise((r) => setTimeout(r, soon))'
/** The app's sleep, which no clearing of timers ends: it is over when the app is asked, and so before there is an answer. */
const sleepOfApp = 'app.sleep(late)'

/** Each tries to answer when its time is over, in one way or another. */
const LATE_ANSWERS: Readonly<Record<string, string>> = {
  'a header': `await ${sleepOfApp}; ctx.set("x-late", "1")`,
  'a body': `await ${sleepOfApp}; ctx.body = "late"`,
  'a status': `await ${sleepOfApp}; ctx.status = 500`,
  'a type, a redirect and a cookie': `await ${sleepOfApp}; ctx.type = "html"; ctx.cookies.set("late", "1"); ctx.redirect("/late")`,
  'a raw header': `await ${sleepOfApp}; ctx.res.setHeader("x-late", "1")`,
  'a deletion': `await ${sleepOfApp}; ctx.remove("x-app"); ctx.res.removeHeader("x-app")`,
  say: `await ${sleepOfApp}; say("late")`,
  exit: `await ${sleepOfApp}; exit(403, "late")`,
  'exit inside try': `try { await ${sleepOfApp} } catch {} try { exit(403, "late") } catch {}`,
  throw: `await ${sleepOfApp}; ctx.throw(403, "late")`,
  'a timer': `setTimeout(() => { ctx.set("x-late", "1") }, soon); await new Promise(() => {})`,
  'a timer of its own': `await ${wait}; ctx.set("x-late", "1")`,
  'an interval': `setInterval(() => { ctx.set("x-late", "1") }, soon); await new Promise(() => {})`,
  'a catch block': `try { await ${sleepOfApp} } catch { ctx.set("x-late", "1"); ctx.body = "late" }`,
  'a catch block behind a catch block': `try { try { await ${sleepOfApp} } catch {} } catch {} ctx.set("x-late", "1")`,
  'a catch block in a loop': `for (;;) { try { await ${sleepOfApp}; ctx.set("x-late", "1") } catch { ctx.set("x-late", "2"); continue } }`,
  'a catch block that sees the signal': `try { await new Promise((_, no) => signal.addEventListener("abort", () => no(signal.reason))) } catch { ctx.set("x-late", "1") }`,
  'a finally block': `try { await ${sleepOfApp} } finally { ctx.set("x-late", "1") }`,
  'a finally block behind others': `try { try { await ${sleepOfApp} } finally { app.cleaned(); ctx.set("x-late", "1") } } finally { ctx.body = "late" }`,
  'a listener of the signal': `signal.addEventListener("abort", () => { ctx.set("x-late", "1") }); await ${sleepOfApp}`,
  'a listener of the response': `ctx.res.prependOnceListener("pipe", () => { ctx.set("x-late", "1") }); await ${sleepOfApp}; ctx.res.emit("pipe")`,
  'a then': `await ${sleepOfApp}.then(() => { ctx.set("x-late", "1") })`,
  'a then with nobody waiting': `${sleepOfApp}.then(() => ctx.set("x-late", "1")); await new Promise(() => {})`,
  'a catch': `await app.fail(late).catch(() => { ctx.set("x-late", "1") })`,
  'a finally': `await ${sleepOfApp}.finally(() => { ctx.set("x-late", "1") })`,
  'a function': `const f = async () => { await ${sleepOfApp}; ctx.set("x-late", "1") }; await f()`,
  'a function with nobody waiting': `const f = async () => { await ${sleepOfApp}; ctx.set("x-late", "1") }; f(); await new Promise(() => {})`,
  'a method that is called': `const o = { answer() { ctx.set("x-late", "1") } }; try { await ${sleepOfApp} } finally { o.answer() }`,
  'a getter': `const o = { get answer() { return ctx.set("x-late", "1") } }; try { await ${sleepOfApp} } finally { o.answer }`,
  'Promise.all': `await Promise.all([1, 2].map(async () => { await ${sleepOfApp}; ctx.set("x-late", "1") }))`,
  'an async generator': `const g = async function* () { await ${sleepOfApp}; ctx.set("x-late", "1"); yield 1 }; for await (const x of g());`,
  'the end of a loop that awaits': `for await (const x of app.nothing(late)); ctx.set("x-late", "1")`,
  'the end of a loop with a label': `a: b: for await (const x of app.nothing(late)) continue a\nctx.set("x-late", "1")`,
  'the end of a loop behind if': `if (ctx) for await (const x of app.nothing(late)); else exit()\nctx.set("x-late", "1")`,
  'the body of a loop that awaits': `for await (const x of [app.sleep(late)]) ctx.set("x-late", "1")`,
  'an awaited condition': `if ((await ${sleepOfApp}) === undefined) ctx.set("x-late", "1")`,
  'an awaited argument': `ctx.set("x-late", String(await ${sleepOfApp}))`,
  'an awaited assignment': `ctx.body = await ${sleepOfApp}`,
  'a microtask': `await ${sleepOfApp}.then(() => queueMicrotask(() => ctx.set("x-late", "1")))`,
  eval: `await ${sleepOfApp}; eval("ctx.set('x-late', '1')")`,
}

async function startLate(plugins: readonly PluginFields[], options = {}) {
  const cleaned = vi.fn()
  const asleep: (() => void)[] = []
  const sleepLate = (ms: number) => (ms < LATE_MS ? sleep(ms) : new Promise<void>((wake) => asleep.push(wake)))
  const shared: { signal?: AbortSignal } & Record<string, unknown> = {
    sleep: sleepLate,
    cleaned,
    fail: (ms: number) => sleepLate(ms).then(() => Promise.reject(new Error('late'))),
    nothing: (ms: number) => ({
      [Symbol.asyncIterator]: () => ({ next: () => sleepLate(ms).then(() => ({ done: true, value: undefined })) }),
    }),
  }
  const answer_ms = plugins.some(({ code }) => code?.includes('soon')) ? SOON_MS + 50 : 0
  const started = await startApp({
    plugins,
    options: {
      globals: { app: shared, late: LATE_MS, soon: SOON_MS },
      timeout_ms: TIMEOUT_MS,
      breaker_failures: 0,
      ...options,
    },
    inner: async (ctx) => {
      ctx.set('x-app', '1')
      await sleep(answer_ms)
      if (!ctx.query.quick) for (const wake of asleep.splice(0)) wake()
      for (let turns = 0; turns < 5; turns += 1) await turn()
      ctx.body = 'app'
    },
  })
  return { ...started, cleaned, shared }
}

describe('a plugin that misses its deadline', () => {
  it.each(Object.entries(LATE_ANSWERS))('has no say any more in the response: %s', async (_, code) => {
    const app = await startLate([plugin('access', code)])
    const { status, text, headers } = await app.request.get('/')
    expect([status, text]).toEqual([200, 'app'])
    expect(headers).toMatchObject({ 'x-app': '1', 'content-type': 'text/plain; charset=utf-8' })
    expect(headers).not.toHaveProperty('x-late')
    expect(headers).not.toHaveProperty('set-cookie')
    expect(failures(app)).toMatchObject([{ error: { code: 'ERR_DYNACODE_TIMEOUT' }, outcome: 'open' }])
    expect(app.errors).toEqual([])
  })

  it('may still clean up after itself', async () => {
    const app = await startLate([plugin('access', LATE_ANSWERS['a finally block behind others'] as string)])
    await app.request.get('/').expect(200, 'app')
    expect(app.cleaned).toHaveBeenCalledTimes(1)
  })

  it.each(['rewrite', 'content', 'balancer', 'header_filter'] as const)(
    'lets its request go on: in %s',
    async (phase) => {
      const app = await startLate([plugin(phase, `await ${sleepOfApp}; ctx.set("x-late", "1"); ctx.body = "late"`)])
      const { headers, text } = await app.request.get('/').expect(200)
      expect(text).toBe('app')
      expect(headers).not.toHaveProperty('x-late')
      expect(failures(app)).toMatchObject([{ phase, error: { code: 'ERR_DYNACODE_TIMEOUT' } }])
    },
  )

  it('leaves the chunk as it was in body_filter', async () => {
    const app = await startLate([plugin('body_filter', `await ${sleepOfApp}; return "late"`)])
    await app.request.get('/').expect(200, 'app')
    expect(failures(app)).toHaveLength(1)
  })

  it('is told of in log, too', async () => {
    const app = await startLate([plugin('log', 'await new Promise(() => {})')])
    await app.request.get('/').expect(200, 'app')
    await vi.waitFor(() => expect(failures(app)).toMatchObject([{ error: { code: 'ERR_DYNACODE_TIMEOUT' } }]))
  })

  it('is named in the error, with the time it had', async () => {
    const app = await startLate([{ name: 'slow', phase: 'access', code: 'await new Promise(() => {})' }])
    await app.request.get('/').expect(200)
    const [{ error, duration_ms, plugin: info }] = failures(app) as [ReturnType<typeof failures>[0]]
    expect((error as Error).message).toBe(`plugin "slow" ran for more than ${TIMEOUT_MS} ms (timeout_ms)`)
    expect(info.name).toBe('slow')
    expect(duration_ms).toBeGreaterThanOrEqual(TIMEOUT_MS - 2)
  })

  it('harms no later request', async () => {
    const code = `if (ctx.query.slow) await ${sleepOfApp}; ctx.set("x-path", ctx.path)`
    const app = await startLate([plugin('access', code)])
    await app.request.get('/slow?slow=1').expect(200)
    for (const path of ['/a', '/b']) await app.request.get(path).expect(200).expect('x-path', path)
    expect(failures(app)).toHaveLength(1)
  })

  it('stops only its own request’s run', async () => {
    const code = `await (ctx.query.quick ? null : ${sleepOfApp}); ctx.set("x-done", "1")`
    const app = await startLate([plugin('access', code)])
    const [slow, quick] = await Promise.all([app.request.get('/'), app.request.get('/?quick=1')])
    expect(slow.headers).not.toHaveProperty('x-done')
    expect(quick.headers).toHaveProperty('x-done')
  })

  it('is followed by the others of its phase', async () => {
    const app = await startLate([
      plugin('access', 'await new Promise(() => {})'),
      plugin('access', 'ctx.set("x-next", "1")'),
    ])
    await app.request.get('/').expect(200).expect('x-next', '1')
  })
})

describe('the deadline', () => {
  it('is the plugin’s own where the document says so', async () => {
    const app = await startLate([
      plugin('access', `await app.sleep(60); ctx.set("x-patient", "1")`, { timeout_ms: 60_000 }),
      plugin('access', `await ${sleepOfApp}; ctx.set("x-impatient", "1")`),
    ])
    const { headers } = await app.request.get('/').expect(200)
    expect(headers).toHaveProperty('x-patient')
    expect(headers).not.toHaveProperty('x-impatient')
  })

  it('is met by a plugin that takes less', async () => {
    const code = 'await app.sleep(1); ctx.set("x-met", "1")'
    const app = await startLate([plugin('access', code)], { timeout_ms: 60_000 })
    await app.request.get('/').expect(200).expect('x-met', '1')
    expect(failures(app)).toEqual([])
  })

  it('does not cut what a plugin does without waiting', async () => {
    const code = 'const end = performance.now() + 20; while (performance.now() < end); ctx.set("x-done", "1")'
    const app = await startLate([plugin('access', code)], { timeout_ms: 1, budget_ms: 5000 })
    await app.request.get('/').expect(200).expect('x-done', '1')
  })
})

describe('signal', () => {
  it('aborts at the deadline, with its reason', async () => {
    const app = await startLate([
      plugin('access', 'signal.addEventListener("abort", () => {}); app.signal = signal; await new Promise(() => {})'),
    ])
    const { signal } = await aborted(app)
    expect(signal.reason).toMatchObject({ code: 'ERR_DYNACODE_TIMEOUT' })
  })

  it('aborts when the run is stopped by its budget', async () => {
    const app = await startLate([plugin('access', 'app.signal = signal; for (;;);')], { budget_ms: 5 })
    const { signal } = await aborted(app)
    expect(signal.reason).toMatchObject({ code: 'ERR_DYNACODE_BUDGET' })
  })

  it('aborts when the client goes away', async () => {
    const app = await startLate([plugin('access', 'app.signal = signal; await new Promise(() => {})')], {
      timeout_ms: 5000,
    })
    const signalled = app.shared
    const sent = get(app.uri)
    sent.on('error', () => undefined)
    await vi.waitFor(() => expect(signalled.signal).toBeDefined())
    sent.destroy()
    await vi.waitFor(() => expect(signalled.signal?.aborted).toBe(true))
    expect(signalled.signal?.reason).toMatchObject({ code: 'ERR_DYNACODE_ABORTED' })
  })

  it('stays as it is when all goes well', async () => {
    const app = await startLate([plugin('access', 'app.signal = signal; await null')])
    await app.request.get('/').expect(200)
    await sleep(TIMEOUT_MS * 2)
    expect(app.shared.signal?.aborted).toBe(false)
  })

  it('ends a fetch of the plugin’s at the deadline', async () => {
    const gone = createDeferred()
    const server: Server = createServer((request) => request.once('close', () => gone.resolve()))
    const port = await listen(server)
    const app = await startLate([plugin('access', `await fetch("http://127.0.0.1:${port}/")`)])
    await app.request.get('/').expect(200, 'app')
    await gone.promise
    expect(failures(app)).toMatchObject([{ error: { code: 'ERR_DYNACODE_TIMEOUT' } }])
  })

  async function aborted(app: Awaited<ReturnType<typeof startLate>>) {
    await app.request.get('/').expect(200)
    const { signal } = app.shared
    expect(signal?.aborted).toBe(true)
    return { signal: signal as AbortSignal }
  }
})
