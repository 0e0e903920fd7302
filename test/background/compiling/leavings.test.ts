import { describe, expect, it } from 'vitest'
import { leavesNothing } from '../../../lib/background/compiling/leavings.ts'
import { parseCode } from '../../../lib/background/compiling/parser.ts'

const judge = (code: string) => leavesNothing(parseCode(code))

describe('code that is over when it returns', () => {
  it.each([
    ``,
    `ctx.set('X-A', '1')`,
    `if (ctx.get('X-Token') !== params.token) exit(401, 'who is there?')`,
    `exit?.(403, ctx.path)`,
    `for (const part of ctx.path.split('/')) say(part, store.incr('n', 1))`,
    `try { exit(200, { a: { b: chunk } }) } catch {} finally { log('done') }`,
    `return String(chunk) + last`,
  ])('%s', (code) => {
    expect(judge(code)).toBe(true)
  })
})

describe('code of which something may go on, or be called later', () => {
  it.each([
    `await null`,
    `for await (const part of ctx.req) say(part)`,
    `ctx.onerror = () => undefined`,
    `ctx.state.later = function () { say('later') }`,
    `ctx.state.thing = { get a() { return 1 }, b() {} }`,
    `class A {}; ctx.state.a = new A()`,
    `ctx.state.exit = exit`,
    `ctx.state.given = { say }`,
    `ctx.state.given = [exit]`,
    `counter.later(say)`,
    `exit.call(undefined, 403)`,
    `new exit(403)`,
    `exit(200, exit)`,
    `exit\`403\``,
    `const { length } = arguments`,
    `eval('exit(403)')`,
    `ctx.state.made = new Function('return 1')`,
    `ctx.state.answer = fetch('http://a.test')`,
    `signal.throwIfAborted()`,
    `setTimeout(counter.later, 10)`,
    `globalThis.setTimeout(counter.later, 10)`,
    `process.nextTick(counter.later)`,
    `import('node:fs')`,
  ])('%s', (code) => {
    expect(judge(code)).toBe(false)
  })
})
