import { describe, expect, it } from 'vitest'
import { plugin } from '../../fixtures/app.ts'
import { type Ended, resultOf, runChild } from '../../fixtures/child.ts'

const EVENTS = "const { EventEmitter } = process.getBuiltinModule('node:events'); const e = new EventEmitter(); "

/** What is left to itself and fails, each with an error whose message is X. */
const FLOATING: Readonly<Record<string, string>> = {
  'Promise.reject': 'Promise.reject(new Error("X"))',
  'new Promise': 'new Promise((_, no) => no(new Error("X")))',
  'a throw in an executor': 'new Promise(() => { throw new Error("X") })',
  'an async arrow function': '(async () => { throw new Error("X") })()',
  'an async function, behind an await': 'const f = async () => { await null; throw new Error("X") }; f()',
  'an async function, declared': 'f(); async function f(a)\n{ await null; throw new Error("X") }',
  'void of an async function': 'void (async function () { throw new Error("X") })()',
  'an async method': 'const o = { async m() { throw new Error("X") } }; o.m()',
  'an async method of a class': 'class A { async m() { await null; throw new Error("X") } }; new A().m()',
  'a static async method': 'class A { static async m() { throw new Error("X") } }; A.m()',
  'a private async method': 'class A { async #m() { throw new Error("X") } m() { this.#m() } }; new A().m()',
  'an async class field': 'class A { m = async () => { throw new Error("X") } }; new A().m()',
  'a getter': 'const o = { get p() { return Promise.reject(new Error("X")) } }; o.p',
  'a tagged template': 'const t = async () => { throw new Error("X") }; t`a`',
  'an optional call': 'const o = { f: async () => { throw new Error("X") } }; o?.f?.()',
  forEach: '[1].forEach(async () => { throw new Error("X") })',
  'forEach of a map': 'new Map([[1, 2]]).forEach(async function () { await null; throw new Error("X") })',
  map: '[1].map(async () => { throw new Error("X") })',
  'map with a named function': 'const f = async (x) => { throw new Error("X") }; [1].map(f)',
  'map with what makes promises': 'const f = () => Promise.reject(new Error("X")); [1].map(f)',
  'Array.from': 'Array.from([1], async () => { throw new Error("X") })',
  'Reflect.apply': 'Reflect.apply(async () => { throw new Error("X") }, null, [])',
  'a bound function': 'const f = (async () => { throw new Error("X") }).bind(null); f()',
  'a callback of the app': 'app.later(async () => { throw new Error("X") })',
  'a promise of the app': 'app.reject(new Error("X"))',
  'a destructured promise': 'const [a] = [Promise.reject(new Error("X"))]',
  'a promise that is kept': 'ctx.state.kept = Promise.reject(new Error("X"))',
  'a promise in an array': 'const all = []; all.push(Promise.reject(new Error("X")))',
  'a promise in a map': 'new Map().set("a", (async () => { throw new Error("X") })())',
  'a then': 'Promise.resolve().then(() => { throw new Error("X") })',
  'what follows a then': 'const p = Promise.reject(new Error("X")); p.then(() => 1)',
  'a catch': 'Promise.reject(1).catch(() => { throw new Error("X") })',
  'a finally': 'Promise.resolve().finally(() => { throw new Error("X") })',
  'then whose argument throws': 'try { Promise.reject(new Error("X")).then(params.nothing.here) } catch {}',
  'Promise.all': 'Promise.all([Promise.reject(new Error("X"))])',
  'Promise.race': 'Promise.race([Promise.reject(new Error("X")), new Promise(() => {})])',
  'a thenable': 'Promise.resolve({ then() { throw new Error("X") } })',
  'a subclass': 'class P extends Promise {}; P.reject(new Error("X"))',
  fetch: 'fetch("http://127.0.0.1:1/X").catch(() => { throw new Error("X") })',
  'an async generator': 'const g = async function* () { throw new Error("X") }; g().next()',
  'a promise whose class does not tell':
    'class P extends Promise {}; Object.defineProperty(P.prototype, "constructor", { get() { throw 1 } }); new P((_, no) => setTimeout(no, 5, new Error("X")))',
  'for await': '(async () => { for await (const x of [Promise.reject(new Error("X"))]); })()',
  eval: 'eval("Promise.reject(new Error(\'X\'))")',
  'new Function': 'new Function("Promise.reject(new Error(\'X\'))")()',
  'an async function out of new Function': 'new Function("return async () => { throw new Error(\'X\') }")()()',
  late: 'new Promise((_, no) => setTimeout(() => no(new Error("X")), 20))',
  'late, after an await': 'const p = new Promise((_, no) => setTimeout(no, 20, new Error("X"))); await null',
  'after the end': 'const f = async () => { await new Promise((r) => setTimeout(r, 20)); throw new Error("X") }; f()',
  setTimeout: 'setTimeout(() => { throw new Error("X") }, 1)',
  'setTimeout, async': 'setTimeout(async () => { await null; throw new Error("X") }, 1)',
  'setTimeout of globalThis': 'globalThis.setTimeout(() => { throw new Error("X") }, 1)',
  setInterval: 'const t = setInterval(() => { clearInterval(t); throw new Error("X") }, 1)',
  setImmediate: 'setImmediate(() => { throw new Error("X") })',
  'setImmediate, async': 'setImmediate(async () => { throw new Error("X") })',
  nextTick: 'process.nextTick(() => { throw new Error("X") })',
  'nextTick, async': 'process.nextTick(async () => { throw new Error("X") })',
  queueMicrotask: 'queueMicrotask(() => { throw new Error("X") })',
  'queueMicrotask, async': 'queueMicrotask(async () => { throw new Error("X") })',
  'a listener': `${EVENTS}e.on("x", () => { throw new Error("X") }); e.emit("x")`,
  'a listener, once': `${EVENTS}e.once("x", () => { throw new Error("X") }); setImmediate(() => { e.emit("x"); e.emit("x") })`,
  'a listener, async': `${EVENTS}e.addListener("x", async () => { throw new Error("X") }); e.emit("x")`,
  'a listener that is put first': `${EVENTS}e.prependListener("x", () => { throw new Error("X") }); e.emit("x")`,
  'a listener of the response': 'ctx.res.on("finish", () => { throw new Error("X") })',
  'a listener of the response, optional': 'ctx?.res?.once?.("close", () => { throw new Error("X") })',
  'a listener of a target':
    'const t = new EventTarget(); t.addEventListener("x", () => { throw new Error("X") }); t.dispatchEvent(new Event("x"))',
  'a listener of a target, async':
    'const t = new EventTarget(); t.addEventListener("x", async () => { throw new Error("X") }, { once: true }); t.dispatchEvent(new Event("x"))',
  'a listening object':
    'const t = new EventTarget(); t.addEventListener("x", { handleEvent() { throw new Error("X") } }); t.dispatchEvent(new Event("x"))',
  'exit() when it is too late': 'setTimeout(() => { try { exit(403) } catch { throw new Error("X") } }, 10)',
}

/** What fails and is handled, by and by. */
const HANDLED: Readonly<Record<string, string>> = {
  'awaited at once': 'try { await (async () => { throw new Error("X") })() } catch {}',
  'awaited later':
    'const p = Promise.reject(new Error("X")); await new Promise((r) => setTimeout(r, 10)); try { await p } catch {}',
  'handed over by a generator': 'const g = function* () { yield Promise.reject(new Error("X")) }; g().next()',
  'handed over, and frozen': 'Object.freeze(Promise.reject(new Error("X")))',
  'awaited at once, and then kept':
    'const f = async () => { throw new Error("X") }, id = (p) => p; const p = f(); try { await p } catch {} id(p); [].push(p)',
  'awaited at once, and handed over':
    'const f = async () => { throw new Error("X") }, id = (p) => p; const p = f(); try { await p } catch {} await null; await id(p).catch(() => {})',
  'caught later':
    'const p = (async () => { throw new Error("X") })(); await new Promise((r) => setTimeout(r, 10)); await p.catch(() => {})',
  'handled by then': 'const p = Promise.reject(new Error("X")); await p.then(() => 1, () => 2)',
  'handled in a tick': 'const p = Promise.reject(new Error("X")); process.nextTick(() => p.catch(() => {}))',
  'handled in a microtask': 'const p = Promise.reject(new Error("X")); queueMicrotask(() => p.catch(() => {}))',
  'all settled':
    'const f = async () => { throw new Error("X") }; await Promise.allSettled([f(), f(), Promise.reject(1)])',
  'all, caught': 'const f = async (x) => { throw new Error("X") }; try { await Promise.all([1, 2].map(f)) } catch {}',
  'all, from a list':
    'const list = []; for (const x of [1, 2]) list.push((async () => { throw new Error("X") })()); try { await Promise.all(list) } catch {}',
  'lost a race':
    'const late = new Promise((_, no) => setTimeout(no, 5, new Error("X"))); await Promise.race([1, late]); await new Promise((r) => setTimeout(r, 20))',
  'any of them': 'await Promise.any([Promise.reject(new Error("X")), 1])',
  'for await over promises':
    'const f = async () => { throw new Error("X") }; try { for await (const x of [f(), f()]); } catch {}',
  yielded:
    'const g = async function* () { yield Promise.reject(new Error("X")) }; try { for await (const x of g()); } catch {}',
  'out of an async generator':
    'const g = async function* () { throw new Error("X") }; await g().next().catch(() => {})',
  returned: 'const f = () => Promise.reject(new Error("X")), h = async () => f(); try { await h() } catch {}',
  'returned through a finally':
    'const f = async () => { try { return await Promise.reject(new Error("X")) } finally { await null } }; try { await f() } catch {}',
  'resolved with': 'await new Promise((r) => r(Promise.reject(new Error("X")))).catch(() => {})',
  'waited for by the app': 'await app.handle(Promise.reject(new Error("X")))',
  'an async function waited for by the app': 'await app.handle((async () => { throw new Error("X") })())',
  'kept, and then waited for':
    'const m = new Map(); m.set(1, Promise.reject(new Error("X"))); try { await m.get(1) } catch {}',
  'passed on to the app': 'app.later(() => Promise.reject(new Error("X")).catch(() => {}))',
  'a deliberate exit': 'await null; exit(204)',
  'a listener that is taken off': `${EVENTS}const f = () => { throw new Error("X") }; e.on("x", f); e.off("x", f); e.emit("x"); e.once("x", f); e.removeListener("x", f); e.emit("x")`,
  'an abort that was asked for':
    'const c = new AbortController(); const p = fetch("http://127.0.0.1:1/", { signal: c.signal }); c.abort(); try { await p } catch {}',
}

const APP = `
const app = { later: (f) => { setImmediate(f) }, reject: (e) => Promise.reject(e), handle: async (p) => { try { await p } catch {} } }
`

function runEach(cases: Readonly<Record<string, string>>): Promise<Ended> {
  const domains = Object.entries(cases).map(([name, code], index) => ({
    name: `${index}.test`,
    plugins: [{ name, phase: 'access', code }],
  }))
  return runChild(`
    ${APP}
    const state = await start({ globals: { app }, document: ${JSON.stringify({ domains })} })
    const results = {}
    for (const [index, { plugins: [{ name }] }] of state.document.domains.entries()) {
      state.failed.length = 0
      const { status } = await get(state, index + '.test')
      for (let turn = 0; turn < 10 && (turn < 4 || state.failed.length === 0); turn++) await sleep(10)
      results[name] = { status, failed: state.failed.map(({ name, message, outcome }) => [name, message, outcome]) }
    }
    process.stdout.write(JSON.stringify(results) + '\\n', () => process.exit())
  `)
}

describe('what a plugin leaves to itself, in an app without handlers for unhandled errors', () => {
  it('is reported with the name of the plugin, and ends nothing', async () => {
    const ended = await runEach(FLOATING)
    const results = resultOf(ended)
    const expected = Object.keys(FLOATING).map((name) => [name, { status: 200, failed: [[name, 'X', 'open']] }])
    expect(results).toEqual(Object.fromEntries(expected))
    expect(ended).toMatchObject({ code: 0, stderr: '' })
  })

  it('is nobody else’s business when it is handled in the end', async () => {
    const ended = await runEach(HANDLED)
    const results = resultOf(ended)
    for (const name of Object.keys(HANDLED)) expect(results[name], name).toMatchObject({ failed: [] })
    expect(ended).toMatchObject({ code: 0, stderr: '' })
  })

  it('may be anything that can be thrown', async () => {
    const things = [
      'undefined',
      'null',
      '0',
      '"text"',
      'Symbol("s")',
      '{}',
      'Object.freeze(new Error("X"))',
      'Object.create(null)',
      'new Proxy({}, { get() { throw 1 } })',
      '() => {}',
    ]
    const cases = things.flatMap((thing) => [
      [`rejects with ${thing}`, `Promise.reject(${thing})`],
      [`throws ${thing} in a timer`, `setTimeout(() => { throw ${thing} }, 1)`],
    ])
    const domains = cases.map(([name, code], index) => ({
      name: `${index}.test`,
      plugins: [{ name, phase: 'log', code }],
    }))
    const ended = await runChild(`
      const state = await start({ document: ${JSON.stringify({ domains })} })
      state.dyna.events.removeAllListeners('rt_plugins_error')
      const names = []
      state.dyna.events.on('rt_plugins_error', ({ plugin }) => names.push(plugin.name))
      for (const [index] of state.document.domains.entries()) await get(state, index + '.test')
      for (let turn = 0; turn < 50 && names.length < ${cases.length}; turn++) await sleep(10)
      process.stdout.write(JSON.stringify(names.sort()) + '\\n', () => process.exit())
    `)
    expect(resultOf(ended)).toEqual(cases.map(([name]) => name).sort())
    expect(ended.code).toBe(0)
  })
})

describe('an error of the app that nobody handles', () => {
  // Beside a plugin that leaves errors of its own behind.
  const plugins = [
    plugin(
      'access',
      'Promise.reject(new Error("of the plugin")); setTimeout(() => { throw new Error("of the plugin") }, 1)',
    ),
  ]
  const reject = `setTimeout(() => { Promise.reject(new Error('of the app')) }, 30)`
  const cases: [what: string, text: string, flags: string[]][] = [
    ['a rejection', reject, []],
    ['a rejection, with --unhandled-rejections=warn', reject, ['--unhandled-rejections=warn']],
    ['a rejection, with --unhandled-rejections=none', reject, ['--unhandled-rejections=none']],
    ['a rejection, with --unhandled-rejections=strict', reject, ['--unhandled-rejections=strict']],
    [
      'a rejection, with a handler',
      `process.on('unhandledRejection', (error) => console.log('handled', error.message)); ${reject}`,
      [],
    ],
    ['an exception', `setTimeout(() => { throw new Error('of the app') }, 30)`, []],
    [
      'an exception, with a handler',
      `process.on('uncaughtException', (error, origin) => console.log(origin, error.message)); setTimeout(() => { throw new Error('of the app') }, 30)`,
      [],
    ],
    [
      'a listener without anybody to hear an error',
      `setTimeout(() => { new http.Server().emit('error', new Error('of the app')) }, 30)`,
      [],
    ],
    [
      'a rejection that is handled too late',
      `process.on('rejectionHandled', () => console.log('after all')); process.on('unhandledRejection', () => console.log('unhandled')); setTimeout(() => { const p = Promise.reject(new Error('of the app')); setTimeout(() => p.catch(() => {}), 10) }, 30)`,
      [],
    ],
  ]

  it.each(cases)('ends the process, or does not, as without dynacode: %s', async (_, text, flags) => {
    const run = (before: string, prelude?: false) =>
      runChild(`${before}\n${text}\nsetTimeout(() => process.exit(7), 150)`, { flags, prelude })
    const begin = `await get(await start({ plugins: ${JSON.stringify(plugins)} }))`
    const [bare, guarded] = await Promise.all([run("import http from 'node:http'", false), run(begin)])
    expect(shapeOf(guarded)).toEqual(shapeOf(bare))
    expect(guarded.stderr).not.toContain('of the plugin')
  })

  /** How it ended, without the numbers of its process and the places in its text. */
  function shapeOf({ code, signal, stdout, stderr }: Ended) {
    return { code, signal, stdout, stderr: stderr.replace(/\(node:\d+\)|rejection id: \d+|\[eval1\]:\d+(:\d+)?/g, '…') }
  }
})

describe('timers of a plugin', () => {
  it('do not keep the process alive', async () => {
    const ended = await runChild(`
      const state = await start({ plugins: [{ name: 'a', phase: 'access', code: 'setInterval(() => {}, 1e6); setTimeout(() => {}, 1e6)' }] })
      await get(state)
      state.server.close()
    `)
    expect(ended).toMatchObject({ code: 0, stderr: '' })
  })
})
