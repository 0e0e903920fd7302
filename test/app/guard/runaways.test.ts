import { once } from 'node:events'
import { Agent, get, type IncomingHttpHeaders } from 'node:http'
import { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Middleware } from 'koa'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { type Dynacode, dynacode, type Payload, type Phase, type Source } from '../../../lib/index.ts'
import { createApp } from '../../fixtures/app.ts'

/** Far more than it takes; how long it does take is for the benchmark to tell. */
const PATIENCE = { timeout: 30_000, interval: 5 }
const BUDGET_MS = 20
const TIMEOUT_MS = 100
const LINE = 3

/** Each stands in line 3 of its plugin. */
const ENDLESS: Readonly<Record<string, string>> = {
  'while (true)': 'while (true) {}',
  'for without a body': 'for (;;);',
  'do while': 'do ; while (true)',
  'for with try, catch, finally and continue':
    'for (;;) { try { for (;;) {} } catch { continue } finally { continue } }',
  'a catch that tries again': 'for (;;) { try { throw 1 } catch { for (;;); } }',
  'a labelled loop': 'outer: for (;;) { for (;;) { continue outer } }',
  'a recursive catch': 'const f = () => { try { f() } catch { f() } }; f()',
  'a recursive finally': 'const f = () => { try { f() } finally { f() } }; f()',
  'mutual recursion': 'const a = (n) => n > 99 ? 0 : b(n + 1) + b(n + 1), b = (n) => a(n) + a(n); a(0)',
  'a tree of calls': 'const fib = (n) => n < 2 ? n : fib(n - 1) + fib(n - 2); fib(60)',
  'a generator without end': 'const g = function* () { for (let i = 0; ; ) yield i++ }; [...g()]',
  'a generator that calls itself':
    'const g = function* () { yield 1; yield* g() }; let n = 0; for (;;) for (const x of g()) if (n++ % 50 === 0) break',
  'an iterator without end':
    'const it = { [Symbol.iterator]: () => ({ next: () => ({ done: false, value: 1 }) }) }; for (const x of it);',
  'an iterator without end in native code':
    'new Set({ [Symbol.iterator]: () => ({ next: () => ({ done: false, value: 1 }) }) })',
  'an iterator that is destructured':
    'const [...all] = { [Symbol.iterator]: () => ({ next: () => ({ done: false }) }) }',
  'a proxy trap': 'const p = new Proxy({}, { get: () => 1 }); for (let n = 0; n < Infinity; n += p.x);',
  'a proxy trap that calls itself':
    'const p = new Proxy({}, { has: (t, k) => { try { return k in p } catch { return k in p } } }); "x" in p',
  'a getter': 'const o = { get x() { return this.y }, get y() { return 1 } }; while (o.x);',
  'a setter': 'const o = { set x(v) { for (;;); } }; o.x = 1',
  toString: 'const o = { toString() { for (;;); } }; String(o)',
  valueOf: 'const o = { valueOf() { for (;;); } }; o + 1',
  'Symbol.toPrimitive': 'const o = { [Symbol.toPrimitive]() { for (;;); } }; o * 2',
  toJSON: 'JSON.stringify({ toJSON() { for (;;); } })',
  'Array.from over a huge length': 'Array.from({ length: 1e9 }, () => 1)',
  'array callbacks': 'const a = Array(1e6).fill(0); for (;;) a.map((x) => x + 1)',
  'forEach over what it fills': 'const s = new Set([0]); let n = 0; s.forEach(() => s.add(++n))',
  'a map that grows while it is iterated': 'const m = new Map([[0, 0]]); let n = 0; for (const _ of m) m.set(++n, n)',
  'an array that grows while it is iterated': 'const a = [1]; for (const x of a) a.push(x)',
  'a comparator': 'const a = Array.from({ length: 1e5 }, Math.random); for (;;) a.sort((x, y) => y - x)',
  'a replacer': 'const s = "a".repeat(1e5); for (;;) s.replace(/a/g, () => "b")',
  'a reviver': 'const s = JSON.stringify(Array(1e5).fill(1)); for (;;) JSON.parse(s, (k, v) => v)',
  'an arrow function with an expression for a body': 'const f = (x) => f2(x), f2 = (x) => x; while (f(true));',
  'a class field': 'class A { x = (() => { for (;;); })() }; new A()',
  'class fields that make more':
    'class A { constructor(n) { this.n = n } } class B extends A { l = this.n > 40 ? 0 : new B(this.n + 1); r = this.n > 40 ? 0 : new B(this.n + 1) }; new B(0)',
  'a static block': 'class A { static { for (;;); } }',
  'a private method': 'class A { #m() { return true } m() { while (this.#m()); } }; new A().m()',
  'a default parameter': 'const f = (a = (() => { for (;;); })()) => a; f()',
  'a default in a pattern': 'const { a = (() => { for (;;); })() } = {}',
  'a tagged template': 'const t = () => true; while (t`x`);',
  'a computed key': 'const o = { [(() => { for (;;); })()]: 1 }',
  'an optional chain': 'const o = { f: () => o }; for (;;) o?.f()?.f?.()',
  'a switch in a loop': 'for (let s = 0; ; ) switch (s) { case 0: s = 1; continue; default: s = 0 }',
  'bound functions': 'const f = ((x) => true).bind(null); while (f());',
  'Reflect.apply': 'const f = () => true; while (Reflect.apply(f, null, []));',
  eval: 'eval("for (;;);")',
  'a function out of eval': 'const f = eval("() => { for (;;); }"); f()',
  'new Function': 'new Function("for (;;);")()',
  'native calls, one after the other': 'for (;;) "x".repeat(1e6).split("")',
  'await null': 'for (;;) await null',
  'await in a recursion': 'const f = async () => { await null; return f() }; await f()',
  'await inside try': 'for (;;) { try { await null; for (;;); } catch { } }',
  'await of thenables': 'const t = { then: (yes) => yes(t2) }, t2 = { then: (yes) => yes(t) }; await t',
  'for await over a generator without end':
    'const g = async function* () { for (;;) yield 1 }; for await (const x of g());',
  'for await over resolved promises':
    'const g = function* () { for (;;) yield Promise.resolve() }; for await (const x of g());',
  'then, recursively': 'const f = () => Promise.resolve().then(f); await f()',
  'then, recursively, with nobody waiting': 'const f = () => { Promise.resolve().then(f) }; f()',
  'catch, recursively': 'const f = () => Promise.reject().catch(f); await f()',
  'async functions that call each other':
    'const a = async () => b(), b = async () => { await null; return a() }; await a()',
  nextTick: 'const f = () => process.nextTick(f); f()',
  'nextTick from globalThis': 'const f = () => globalThis.process.nextTick(f); f()',
  queueMicrotask: 'const f = () => queueMicrotask(f); f()',
  'a loop in a timeout': 'setTimeout(() => { for (;;); }, 1)',
  'a loop in a timeout that is awaited': 'await new Promise((r) => setTimeout(() => { for (;;); }, 1))',
  'a loop in an interval': 'setInterval(() => { for (;;); }, 1)',
  'a loop in an immediate': 'setImmediate(() => { for (;;); })',
  'a loop in a tick': 'process.nextTick(() => { for (;;); })',
  'a loop behind a timer': 'await new Promise((r) => setTimeout(r, 1)); for (;;);',
  'a loop in a listener': 'ctx.req.on("made up", () => { for (;;); }); setImmediate(() => ctx.req.emit("made up"))',
  'a loop in the listener of a target':
    'const t = new EventTarget(); t.addEventListener("x", () => { for (;;); }); t.dispatchEvent(new Event("x"))',
  'a loop in an async callback': '[1].forEach(async () => { await null; for (;;); })',
}

/** What only ends because there is a deadline. */
const HANGING: Readonly<Record<string, string>> = {
  'a promise that never settles': 'await new Promise(() => {})',
  'a thenable that never calls back': 'await { then() {} }',
  'timers without end': 'for (;;) await new Promise((r) => setTimeout(r, 5))',
  'immediates without end': 'for (;;) await new Promise((r) => setImmediate(r))',
  'a wait that tries again': 'for (;;) { try { await new Promise((r, no) => setTimeout(no, 5)) } catch { } }',
}

/** What has no place for a check, and is V8's to end. */
const NATIVE: Readonly<Record<string, string>> = {
  'an expression that backtracks': '/(a+)+$/.test("a".repeat(40) + "b")',
  'an expression that backtracks, tried again':
    'for (;;) { try { /(a|a)*$/.exec("a".repeat(40) + "b") } catch { } finally { continue } }',
  'an expression with a back-reference': '/(x+x+)+\\1y/.test("x".repeat(40))',
  'sort of a huge array': 'const a = Array.from({ length: 2e5 }, (_, i) => String(i)); for (;;) a.sort().reverse()',
  'JSON.stringify of a huge object':
    'const o = Array(100).fill(Array(100).fill(Array(100).fill("x"))); for (;;) JSON.stringify(o)',
  'repeat and split': 'for (;;) "x".repeat(1e6).split("").join("y")',
  'a search in a huge array': 'const a = Array(1e6).fill(0); for (;;) a.includes(1)',
}

/** One of those in each phase beside access. */
const ANYWHERE = { 'while (true)': ENDLESS['while (true)'], 'await null': ENDLESS['await null'] } as Record<
  string,
  string
>
const OTHER_PHASES: readonly Phase[] = ['rewrite', 'content', 'balancer', 'header_filter', 'body_filter', 'log']

interface Answer {
  readonly status: number | undefined
  readonly body: string
  readonly headers: IncomingHttpHeaders
}

type Failure = Payload<'rt_plugins_error'>

describe('in a live server, with other requests in flight', () => {
  const cases: { name: string; host: string; phase: Phase; code: string; guard: 'on' | 'strict' }[] = []
  const add = (list: Readonly<Record<string, string>>, phase: Phase, guard: 'on' | 'strict') => {
    for (const [what, code] of Object.entries(list)) {
      cases.push({ name: `${what} in ${phase}, ${guard}`, host: `case-${cases.length}.test`, phase, code, guard })
    }
  }
  add(ENDLESS, 'access', 'on')
  add(HANGING, 'access', 'on')
  add(NATIVE, 'access', 'strict')
  add(ANYWHERE, 'access', 'strict')
  for (const phase of OTHER_PHASES) add(ANYWHERE, phase, 'on')
  add(HANGING, 'header_filter', 'on')

  const agent = new Agent({ keepAlive: true, maxSockets: 50 })
  const failures: Failure[] = []
  let dyna: Dynacode
  let server: ReturnType<ReturnType<typeof createApp>['app']['listen']>
  let port: number

  beforeAll(async () => {
    dyna = dynacode({
      source: createSource(cases),
      plugin_api_polling_interval: 3600,
      breaker_failures: 0,
      budget_ms: BUDGET_MS,
      timeout_ms: TIMEOUT_MS,
      on_fail: (failure) => failures.push(failure),
    })
    await dyna.ready()
    const { app } = createApp([dyna, serveSlowly])
    server = app.listen(0, '127.0.0.1')
    await once(server, 'listening')
    port = (server.address() as { port: number }).port
  })
  afterAll(async () => {
    agent.destroy()
    server.close()
    server.closeAllConnections()
    await dyna.close()
  })

  const request = (host: string, path = '/') =>
    new Promise<Answer>((resolve, reject) => {
      const sent = get({ host: '127.0.0.1', port, path, headers: { host }, agent }, (response) => {
        let body = ''
        response.setEncoding('utf8').on('data', (part: string) => {
          body += part
        })
        response.on('end', () => resolve({ status: response.statusCode, body, headers: response.headers }))
      })
      sent.on('error', reject)
    })

  it.each(cases)('stops $name', async ({ name, host, phase }) => {
    failures.length = 0
    const others = Array.from({ length: 20 }, (_, index) => request('other.test', index % 2 ? '/stream' : '/wait'))
    await sleep(5)
    const answer = await request(host, '/now')
    expect(answer).toMatchObject({ status: 200, body: 'app' })
    await vi.waitFor(() => expect(failures).not.toEqual([]), PATIENCE)

    for (const other of await Promise.all(others)) {
      expect(other.status).toBe(200)
      expect(['waited', '0123456789']).toContain(other.body)
    }
    expect((await request('other.test', '/now')).body).toBe('app')
    const [failure] = failures as [Failure]
    expect(failures).toHaveLength(1)
    expect(failure.plugin).toMatchObject({ name, domain: host, phase })
    expect(failure.outcome).toBe('open')
    const { code, stack } = failure.error as { code: string; stack: string }
    if (name in hanging()) return expect(code).toBe('ERR_DYNACODE_TIMEOUT')
    expect(code).toBe('ERR_DYNACODE_BUDGET')
    expect((failure.error as Error).message).toContain(JSON.stringify(name))
    if (!name.endsWith('strict')) expect(stack).toMatch(new RegExp(`dynacode:plugin:[^\\n]*:${LINE}:\\d+`))
    return undefined
  })

  function hanging() {
    const names = ['access', 'header_filter'].flatMap((phase) =>
      Object.keys(HANGING).map((what) => `${what} in ${phase}, on`),
    )
    return Object.fromEntries(names.map((name) => [name, true]))
  }
})

function createSource(
  cases: readonly { name: string; host: string; phase: Phase; code: string; guard: string }[],
): Source {
  const domains = cases.map(({ name, host, phase, code, guard }) => ({
    name: host,
    // Two lines above, so that the code's line tells something.
    plugins: [{ name, phase, guard, code: `// a comment\n\n  ${code}` }],
  }))
  const bytes = Buffer.from(JSON.stringify({ domains }))
  return { fetch: async () => ({ bytes }) }
}

/** The app: answers at once, after a timer, or with a stream that takes its time. */
const serveSlowly: Middleware = async (ctx) => {
  if (ctx.path === '/wait') {
    for (let turn = 0; turn < 4; turn += 1) await sleep(5)
    ctx.body = 'waited'
  } else if (ctx.path === '/stream') {
    ctx.body = Readable.from(drip())
  } else {
    ctx.body = 'app'
  }
}

async function* drip(): AsyncGenerator<string> {
  for (let part = 0; part < 10; part += 1) {
    await sleep(2)
    yield String(part)
  }
}
