import { describe, expect, it } from 'vitest'
import { resultOf, runChild } from '../../fixtures/child.ts'

describe('the guard is not switched off by', () => {
  it('plugins that replace or delete what the process has', async () => {
    const tampering = [
      'performance.now = app.zero',
      'globalThis.performance = { now: app.zero }',
      'delete globalThis.performance',
      'globalThis.queueMicrotask = app.nothing',
      'delete globalThis.queueMicrotask',
      'globalThis.setImmediate = app.nothing',
      'process.nextTick = app.nothing',
      'Date.now = app.zero',
      'globalThis.Error = app.Fake',
      'globalThis.WeakMap = null',
      'Promise.prototype.then = app.then',
      'Promise.prototype.then = app.refuse',
      'Object.defineProperty(Promise, Symbol.hasInstance, { value: app.zero, configurable: true })',
      'Object.defineProperty(Promise, Symbol.species, { value: app.Fake, configurable: true })',
      'Array.isArray = app.refuse',
      'Reflect.defineProperty = app.refuse',
    ]
    const domains = tampering.flatMap((code, index) => [
      {
        name: `loop-${index}.test`,
        plugins: [{ name: 'loop', phase: 'access', code: `${code}\nfor (;;) { try { for (;;); } catch {} }` }],
      },
      {
        name: `float-${index}.test`,
        plugins: [
          { name: 'float', phase: 'access', code: `${code}\n;(async () => { await null; throw new Error("X") })()` },
        ],
      },
    ])
    const ended = await runChild(`
      const { then } = Promise.prototype
      const app = { then(...given) { return Reflect.apply(then, this, given) }, zero: () => 0, nothing: () => {}, refuse: () => { throw new Error('no') }, Fake: class {} }
      const places = [[globalThis, ['performance', 'queueMicrotask', 'setImmediate', 'Error', 'WeakMap']], [performance, ['now']],
        [process, ['nextTick']], [Date, ['now']], [Promise, [Symbol.hasInstance, Symbol.species]], [Promise.prototype, ['then']],
        [Array, ['isArray']], [Reflect, ['defineProperty']]]
      const { getOwnPropertyDescriptor, defineProperty } = Object
      const kept = places.flatMap(([object, names]) => names.map((name) => ({ object, name, was: getOwnPropertyDescriptor(object, name) })))
      const restore = () => { for (let at = 0; at < kept.length; at++) { const { object, name, was } = kept[at]; if (was) defineProperty(object, name, was); else delete object[name] } }
      const state = await start({ globals: { app }, budget_ms: 10, document: ${JSON.stringify({ domains })},
        inner: (ctx) => { restore(); ctx.body = 'app' } })
      const results = {}
      for (const { name } of state.document.domains) {
        state.failed.length = 0
        const { status } = await get(state, name)
        for (let turn = 0; turn < 50 && state.failed.length === 0; turn++) await sleep(5)
        results[name] = [status, state.failed[0]?.code ?? state.failed[0]?.message]
      }
      process.stdout.write(JSON.stringify(results) + '\\n', () => process.exit())
    `)
    const expected = tampering.flatMap((_, index) => [
      [`loop-${index}.test`, [200, 'ERR_DYNACODE_BUDGET']],
      [`float-${index}.test`, [200, 'X']],
    ])
    expect(resultOf(ended)).toEqual(Object.fromEntries(expected))
  })
})
