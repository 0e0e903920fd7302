import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { beforeAll, describe, expect, test } from 'vitest'
import { bundle } from '../../fixtures/processes.ts'

const REQUESTS = 1000

/** Plugins that leave something behind; `kept` outlives them all, as `store` and what is in `globals` may. */
const LEAVING: Record<string, string | object> = {
  nothing: '',
  'a timer': 'setTimeout(() => kept.length, 1e7)',
  'an interval': 'setInterval(() => kept.length, 1e7)',
  'a timer that the next run clears': 'clearTimeout(store.get("t")); store.set("t", setTimeout(() => {}, 1e7))',
  'a timer that it closes': 'setTimeout(() => {}, 1e7).close()',
  'a timer that is kept': 'kept.push(setTimeout(() => {}, 1e7))',
  'a timer that is kept and has gone off': 'kept.push(setTimeout(() => {}, 1))',
  'a timer that it starts again': 'const t = setTimeout(() => {}, 1); kept.push(t); setTimeout(() => t.refresh(), 3)',
  'an immediate that is kept': 'kept.push(setImmediate(() => {}))',
  'a callback of the next tick': 'process.nextTick(() => kept.push(() => 1))',
  'a promise that is kept': 'const load = async () => { await null; return 1 }; kept.push(load())',
  'a promise that never settles': 'kept.push(new Promise(() => {}))',
  'a chain of one that never settles': 'kept.push(never.then(() => 1).finally(() => 2))',
  'an async function that never ends': '(async () => { await never; kept.length })()',
  'a rejection that nobody handles': 'kept.push(Promise.reject(new Error("x")))',
  'a rejection that comes late': 'setTimeout(() => kept.push(Promise.reject(new Error("x"))), 2)',
  'a function': 'kept.push((a) => { for (const x of a) x() })',
  'an async function': 'kept.push(async (a) => { for (const x of a) await x() })',
  'a class': 'kept.push(class { x = () => 1; static m() {} })',
  'a compiled function': 'kept.push(new Function("a", "for (;;) break"))',
  'a listener': 'bus.on("x", () => kept.length)',
  'a listener that is an object':
    'const t = new EventTarget(); t.addEventListener("x", { handleEvent() {} }); kept.push(t)',
  'a listener of the response': 'ctx.res.on("finish", () => kept.push(() => 1))',
  'a generator': 'const g = (function* () { yield 1; yield 2 })(); g.next(); kept.push(g)',
  'an asynchronous generator': 'const g = (async function* () { yield 1; yield 2 })(); await g.next(); kept.push(g)',
  'an answer of fetch': 'const answer = await fetch(uri); await answer.text(); kept.push(answer)',
  'a fetch that nobody waits for': 'fetch("http://127.0.0.1:1/")',
  'its signal': 'kept.push(signal)',
  'its exit and say': 'kept.push(exit, say, log)',
  'its names of the process': 'kept.push(setTimeout, process, globalThis)',
  'an answer of its own': 'kept.push(() => 1); await null; exit(403, "no")',
  'an error for the app': 'kept.push(() => 1); ctx.throw(402)',
  'its error': 'const e = new Error("x"); kept.push(e); throw e',
  'its error, closed': { code: 'await null; const e = new Error("x"); kept.push(e); throw e', on_failure: 'closed' },
  'a loop that was stopped': { code: 'kept.push(() => 1); for (;;);', budget_ms: 1 },
  'a wait that was ended': { code: 'kept.push(() => 1, signal); await new Promise(() => {})', timeout_ms: 5 },
  'a function, in strict mode': { code: 'kept.push(() => 1); await null', guard: 'strict' },
  'a function, in shadow mode': { code: 'kept.push(() => 1); await null; ctx.status = 404', mode: 'shadow' },
  'a function of rewrite': { code: 'kept.push(() => 1)', phase: 'rewrite' },
  'a function of content': { code: 'kept.push(() => 1); say("hi")', phase: 'content' },
  'a function of header_filter': { code: 'kept.push(() => 1); ctx.set("x", "1")', phase: 'header_filter' },
  'a function of body_filter': { code: 'await null; kept.push(() => 1); return chunk', phase: 'body_filter' },
  'a chunk that cannot be sent': { code: 'kept.push(() => 1); return Symbol()', phase: 'body_filter' },
  'a function of log': { code: 'await null; kept.push(() => 1, setTimeout(() => {}, 1e7))', phase: 'log' },
}
/** Plugins whose own code keeps the request: that they are found shows that the others would be. */
const KEEPING: Record<string, string> = {
  'the request itself': 'kept.push(ctx)',
  'a timer that names the request': 'setTimeout(() => ctx.path, 1e7)',
}

describe('G59 of 1000 requests through a plugin, when they are over and the plugin leaves behind', () => {
  const kinds = Object.entries({ ...LEAVING, ...KEEPING })
  let kept: Record<string, number>

  beforeAll(async () => {
    const script = await bundle(new URL('../../fixtures/retaining-process.ts', import.meta.url))
    const plugins = kinds.map(([name, fields]) => ({
      name,
      phase: 'access',
      ...(typeof fields === 'string' ? { code: fields } : fields),
    }))
    const args = ['--expose-gc', script, JSON.stringify([plugins, REQUESTS])]
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
    const [out] = await Promise.all([text(child.stdout), once(child, 'exit')])
    const { seen, counts } = JSON.parse(out)
    expect(seen).toEqual(kinds.map(() => REQUESTS))
    kept = Object.fromEntries(kinds.map(([name], index) => [name, counts[index]]))
  })

  test.each(Object.keys(LEAVING))('G59 %s, none is kept', (name) => {
    expect(kept[name]).toBe(0)
  })

  test.each(Object.keys(KEEPING))('%s, as its own code keeps it, all are', (name) => {
    expect(kept[name]).toBe(REQUESTS)
  })
})
