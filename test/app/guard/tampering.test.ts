import { describe, expect, it } from 'vitest'
import { failures, plugin, startApp } from '../../fixtures/app.ts'

/** Names of the guard's own, and of what it uses, that code has for itself. */
const SHADOWS: Readonly<Record<string, string>> = {
  'the names of everything the guard uses':
    'const Promise = null, performance = { now: () => 0 }, queueMicrotask = null, Object = null, Error = null, JSON = null, Reflect = null, WeakMap = null',
  globalThis: 'const globalThis = {}, global = {}, process = {}',
  'the name of the guard’s record': 'const $dynas = { n: Infinity }',
  'the names of the guard’s functions':
    'const $dynao = () => {}, $dynat = (r, v) => v, $dynah = $dynat, $dynaa = $dynat, $dynal = $dynat, $dynae = (v) => v',
  'the guard’s names, as it changes them':
    'const $dyna = 0, $dyna$ = 1, $dyna$s = { n: Infinity }, $dyna$$s = { n: Infinity }; $dyna$s.n = 1e9',
  'the guard’s name in a string': 'const text = "$dyna$dyna$s", t = `$dynas`',
  'the guard’s name in a comment': '/* $dynas $dyna$s */ // $dyna',
  'the names of parameters':
    'const ctx = null, params = null, exit = null, say = null, store = null, log = null, fetch = null, signal = null',
  Function: 'const Function = null',
  'names in a function': 'const f = (Promise, performance, $dynas) => { for (;;); }; f()',
  'names in a class': 'class performance { static now() { return 0 } }; class $dyna {}',
  'undefined and the like': 'const f = (undefined, NaN, Infinity) => { for (;;); }; f(1, 2, 3)',
}

/** What compiles text while it runs. */
const COMPILING: Readonly<Record<string, string>> = {
  eval: 'eval("for (;;);")',
  'eval in eval': `eval('eval("for (;;);")')`,
  'eval of what sees variables': 'let go = true; eval("while (go);")',
  'eval of a function': 'eval("(() => { for (;;); })")()',
  'eval of an async function': 'await eval("(async () => { await null; for (;;); })")()',
  'eval of shadowing code': 'eval("const $dynas = { n: Infinity }, performance = null; for (;;);")',
  'eval inside a function': 'const f = (x) => eval("for (;; x++);"); f(1)',
  'new Function': 'new Function("for (;;);")()',
  Function: 'Function("for (;;);")()',
  'Function with parameters': 'new Function("a", "{ b }", "while (a === b);")(1, { b: 1 })',
  'Function in Function': `new Function('new Function("for (;;);")()')()`,
  'Function in eval': `eval('new Function("for (;;);")()')`,
  'eval in Function': `new Function('eval("for (;;);")')()`,
  'Function of globalThis': 'new globalThis.Function("for (;;);")()',
  'Reflect.construct': 'Reflect.construct(Function, ["for (;;);"])()',
  'a timer in Function': 'new Function("setTimeout(() => { for (;;); }, 1)")()',
}

describe('the guard is not switched off by', () => {
  it.each(Object.entries({ ...SHADOWS }))('code that has for itself %s', async (_, code) => {
    const app = await startApp({
      plugins: [
        plugin('access', `${code}\nfor (;;);`),
        plugin('access', `${code}\nfor (;;) { try { for (;;); } catch {} }`),
      ],
      options: { budget_ms: 10 },
    })
    await app.request.get('/').expect(200, 'app')
    expect(failures(app).map(({ error }) => (error as { code: string }).code)).toEqual(
      Array(2).fill('ERR_DYNACODE_BUDGET'),
    )
  })

  it.each(Object.entries(COMPILING))('%s', async (_, code) => {
    const app = await startApp({
      plugins: [plugin('access', `${code}; await new Promise((r) => setTimeout(r, 20))`)],
      options: { budget_ms: 10 },
    })
    await app.request.get('/').expect(200, 'app')
    expect(failures(app)).toMatchObject([{ error: { code: 'ERR_DYNACODE_BUDGET' } }])
  })

  it.each([
    ['an indirect eval', '(0, eval)("for (;;);")'],
    ['the constructor of a function', '(() => {}).constructor("for (;;);")()'],
    ['Function, for code in sloppy mode', 'new Function("with ({}) for (;;);")()'],
    ['another way to compile', 'process.getBuiltinModule("node:vm").runInThisContext("for (;;);")'],
  ])('%s, in strict mode', async (_, code) => {
    const app = await startApp({ plugins: [plugin('access', code, { guard: 'strict' })], options: { budget_ms: 10 } })
    await app.request.get('/').expect(200, 'app')
    expect(failures(app)).toMatchObject([{ error: { code: 'ERR_DYNACODE_BUDGET' } }])
  })
})
