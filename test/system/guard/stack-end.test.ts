import { describe, expect, it } from 'vitest'
import { resultOf, runChild } from '../../fixtures/child.ts'

/** What goes down to the stack's end and rejects there, where Node may have no room to see a rejection handled. */
const DEEP: Readonly<Record<string, string>> = {
  'an async recursion that awaits': 'const f = async () => { await f() }; f()',
  'an async recursion that leaves promises':
    'const f = async () => { f(); g() }, g = async () => { throw new Error("X") }; f()',
  'an async recursion that catches':
    'const f = async () => { try { await f() } catch { throw new Error("X") } }; await f()',
  'async functions that call each other': 'const a = async () => { b() }, b = async () => { await a() }; a()',
  'async methods':
    'class A { async m() { try { return await this.m() } finally { this.n() } } async n() { throw 1 } }; new A().m()',
  'an async function at each step': 'const g = async () => { throw new Error("X") }, f = () => { g(); f() }; f()',
  'an async function on the way back':
    'const g = async () => { throw new Error("X") }, f = () => { try { f() } catch { g() } g() }; f()',
  'an async function that awaits a rejection':
    'const g = async () => { try { await Promise.reject(new Error("X")) } catch {} }, f = () => { try { f() } catch {} g() }; f()',
  'an async function that takes much of the stack': `const g = async () => { ${Array.from({ length: 200 }, (_, at) => `let v${at} = ${at}`).join(';')}; try { await Promise.reject(1) } catch {} }, f = () => { try { f() } catch {} g() }; f()`,
  'async functions that are waited for in the end':
    'const all = [], g = async () => { throw 1 }, f = () => { all.push(g()); f() }; try { f() } catch {} await Promise.allSettled(all)',
  'async functions that reject later': 'const f = async () => { f(); await null; throw new Error("X") }; f()',
  'an async generator': 'const g = async function* () { throw 1 }, f = () => { try { f() } catch {} g().next() }; f()',
  'an async generator that catches':
    'const g = async function* () { try { await Promise.reject(1) } catch {} yield 1 }, f = () => { g().next(); f() }; f()',
  'an async generator that goes on':
    'const g = async function* () { yield 1; try { await Promise.reject(1) } catch {} }, f = () => { const i = g(); i.next(); later.push(i); f() }, later = []; try { f() } catch {} await null; const h = (n) => { later[n]?.next(); h(n + 1) }; h(0)',
  'Promise.reject at each step': 'const f = () => { Promise.reject(new Error("X")); f() }; f()',
  'Promise.reject on the way back': 'const f = () => { try { f() } catch {} Promise.reject(new Error("X")) }; f()',
  'Promise.reject that is caught': 'const f = () => { Promise.reject(1).catch(() => {}); f() }; f()',
  'Promise.reject and then': 'const f = () => { Promise.reject(1).then(() => {}); f() }; f()',
  'then that throws': 'const f = () => { Promise.resolve().then(() => { throw 1 }); f() }; f()',
  'Promise.all': 'const f = () => { Promise.all([Promise.reject(1), Promise.reject(2)]); f() }; f()',
  'Promise.allSettled': 'const g = async () => { throw 1 }, f = () => { Promise.allSettled([g(), g()]); f() }; f()',
  'an executor that throws': 'const f = () => { new Promise(() => { throw 1 }); f() }; f()',
  'executors in executors': 'const f = () => new Promise((yes) => { yes(f()) }); await f()',
  'promises that reject later':
    'const all = [], f = () => { new Promise((_, no) => { all.push(no) }); f() }; try { f() } catch {} for (const no of all) no(new Error("X"))',
  'promises that reject in a timer':
    'const all = [], f = () => { new Promise((_, no) => { all.push(no) }); f() }; setTimeout(() => { for (const no of all) no(1) }, 5); f()',
  'a subclass': 'class P extends Promise {}; const f = () => { P.reject(1); f() }; f()',
  'map with an async function': 'const f = () => { [1, 2].map(async () => { throw 1 }); f() }; f()',
  'import()': 'const f = () => { import("node:nothing"); f() }; f()',
  'inside then': 'Promise.resolve().then(() => { const f = () => { Promise.reject(1); f() }; f() })',
  'inside a timer': 'setTimeout(() => { const f = async () => { await f() }; f() }, 1)',
  'inside a tick': 'process.nextTick(() => { const f = () => { Promise.reject(1); f() }; f() })',
  'inside a microtask':
    'queueMicrotask(() => { const g = async () => { throw 1 }, f = () => { try { f() } catch {} g() }; f() })',
  'inside a listener':
    'const { EventEmitter } = process.getBuiltinModule("node:events"), e = new EventEmitter(); e.on("x", async () => { e.emit("x") }); e.emit("x")',
}

describe('a plugin that has used up the stack', () => {
  const shares = [0, 1, 2, 3].map((share) => Object.entries(DEEP).filter((_, index) => index % 4 === share))

  it.each(shares)('does not end the process: %s, and the like', async (...cases) => {
    const domains = cases.map(([name, code], index) => ({
      name: `${index}.test`,
      plugins: [{ name, phase: 'access', code, budget_ms: 3000, timeout_ms: 10_000 }],
    }))
    const ended = await runChild(
      `
      const state = await start({ document: ${JSON.stringify({ domains })} })
      const answered = []
      for (const { name, plugins: [{ name: what }] } of state.document.domains) {
        // More than once: code that V8 has optimized takes less of the stack.
        for (let run = 0; run < 3; run++) {
          const { status } = await get(state, name)
          await sleep(20)
          if (run === 2) answered.push([what, status])
        }
      }
      process.stdout.write('\\n' + JSON.stringify(answered) + '\\n', () => process.exit())
    `,
    )
    expect(resultOf(ended)).toEqual(cases.map(([name]) => [name, 200]))
    expect(ended.code).toBe(0)
  })
})
