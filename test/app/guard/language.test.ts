import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { outcomeOf } from '../../fixtures/guarded.ts'

/** What code can see of functions and promises: under the guard it sees the same. */
const SEEN = [
  'return (async () => {}).constructor.name',
  'return process.getBuiltinModule("node:util").types.isAsyncFunction(async function f() {})',
  'return Object.getPrototypeOf(async () => {}) !== Object.getPrototypeOf(() => {})',
  'return Object.prototype.toString.call({ async m() {} }.m)',
  'return (async (a, b = 1) => {}).length',
  'return (() => {}).constructor === Function',
  'return Function.prototype === Object.getPrototypeOf(() => {})',
  'const f = async () => 1; return Object.getPrototypeOf(f()) === Promise.prototype',
  'const f = () => new Promise((r) => r(1)); const p = f(); await p; return Object.getPrototypeOf(p) === Promise.prototype',
  'const p = Promise.resolve(1); return Object.getOwnPropertyNames(p.then((x) => x))',
  'const hello = (name) => { for (const c of name) console.log(c) }; return "<script>(" + hello + ")()</script>"',
  'const f = async (a, { b } = {}) => { await a; return b }; return String(f)',
  'class A { x = params.seen.length; async *g() { yield 1 } static { this.y = 1 } }; return String(A)',
  'const f = () => {\v return "\f" }; return f.toString()',
  'return [function* g() { yield f() }, async () => g(), { get x() { return f() } }].map((x) => String(x))',
  'return new Function("a", "for (const x of [a]) return x")(7)',
  'return String(new Function("a", "return a"))',
  'async function f() { function g() { return 1 } var h = g; return h() } return await f()',
  'async function f() { function g() { return 1 } function g() { return 2 } return g() } return await f()',
  'const { seen } = params; const f = async (n) => { seen.push(n); await null; seen.push(-n) }; await Promise.all([f(1), f(2)])',
  'const { seen } = params; const a = async () => Promise.resolve(1); a().then(() => seen.push("a")); Promise.resolve().then(() => seen.push(1)).then(() => seen.push(2)).then(() => seen.push(3)).then(() => seen.push(4)); await new Promise((r) => setTimeout(r, 5))',
  'const { seen } = params; (async () => { try { await Promise.reject(1) } catch { seen.push("c") } finally { seen.push("f") } })(); Promise.resolve().then(() => seen.push(1)).then(() => seen.push(2)); await new Promise((r) => setTimeout(r, 5))',
  'const { seen } = params; for await (const x of [1, Promise.resolve(2)]) { if (x === 1) continue; seen.push(x) }',
  'const { seen } = params; for await (const x of (async function* () { try { yield 1; yield 2 } finally { seen.push("end") } })()) break',
  'const f = async ({ a }) => a; try { await f(null) } catch (e) { return e.constructor.name }',
]

describe('G53 code sees nothing of the guard', () => {
  it.each(SEEN)('G53 %s', async (code) => {
    const bare = await outcomeOf(code, 'off')
    expect(bare).not.toContain('CompileError')
    expect(await outcomeOf(code, 'on')).toBe(bare)
  })
})

describe('G53 the language of newer Nodes is the same under the guard', () => {
  // `npm run test:nodes` runs them on Nodes that know all of it.
  const file = new URL('../../nodes/newer-syntax.json', import.meta.url)
  it.each(JSON.parse(readFileSync(file, 'utf8')) as string[])('G53 %s', async (program) => {
    const code = `const { seen } = params; ${program}`
    // What V8 shows of the code in a message may show a check.
    const shown = async (mode: 'on' | 'off') => (await outcomeOf(code, mode)).replace(/\S+\(\.\.\.\)/, 'f()')
    expect(await shown('on')).toBe(await shown('off'))
  })
})
