import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it, vi } from 'vitest'
import { exchange, failures, startApp } from '../../fixtures/app.ts'
import { burn } from '../../fixtures/own-clock.ts'

vi.mock('../../../lib/time/steady-clock.ts', async () => ({
  steadyNow: (await import('../../fixtures/own-clock.ts')).ownNow,
}))

/** Plugins that are often asked for the time, and take next to none of it. */
const LIGHT: Readonly<Record<string, string>> = {
  awaits: 'for (let i = 0; i < 2000; i++) await null',
  'awaits and loops': 'for (let i = 0; i < 30; i++) { await null; for (let j = 0; j < 5000; j++); }',
  'chains of promises': 'let p = Promise.resolve(); for (let i = 0; i < 2000; i++) p = p.then((x) => x); await p',
  'asynchronous functions': 'const f = async (n) => n && await f(n - 1); for (let i = 0; i < 50; i++) await f(20)',
  'an asynchronous generator':
    'for await (const x of (async function* () { for (let i = 0; i < 500; i++) yield i })());',
  microtasks: 'await new Promise((r) => { let n = 0; const f = () => ++n < 1000 ? queueMicrotask(f) : r(); f() })',
}

const BUDGET_MS = 50

/** Sends two requests at once: in one packet, so that both are served in one turn of the event loop. */
async function sendTogether(port: number, first: string, second: string): Promise<void> {
  const text = `GET / HTTP/1.1\r\nHost: ${first}\r\n\r\nGET / HTTP/1.1\r\nHost: ${second}\r\nConnection: close\r\n\r\n`
  expect(await exchange(port, text)).toMatch(/200 OK[\s\S]*200 OK/)
  await sleep(5)
}

describe.each(Object.entries(LIGHT))('a plugin with %s', (_, code) => {
  const light = { name: 'light', phase: 'access', code }

  async function startBeside(heavy: string, work: () => Promise<void> = async () => {}) {
    return startApp({
      document: {
        domains: [
          { name: 'light.test', plugins: [light] },
          { name: 'heavy.test', plugins: [{ name: 'heavy', phase: 'access', code: heavy }] },
        ],
      },
      options: { globals: { burn }, budget_ms: BUDGET_MS, breaker_failures: 0 },
      outer: [
        async (ctx, next) => {
          if (ctx.hostname === 'work.test') await work()
          await next()
        },
      ],
    })
  }

  it.each([
    ['in one piece', () => Promise.resolve(burn(4 * BUDGET_MS))],
    ['between its awaits', async () => repeat(20, 10)],
    ['between each two of its steps', async () => repeat(200, 1)],
    ['often, and little each time', async () => repeat(1000, 0.2)],
  ])('is not charged for what the app does in the same turn, %s', async (_what, work) => {
    const app = await startBeside('', work)
    await sendTogether(app.port, 'light.test', 'work.test')
    await sendTogether(app.port, 'work.test', 'light.test')
    expect(failures(app)).toEqual([])
  })

  it.each([
    ['loops', 'for (;;);'],
    ['loops over awaits', 'for (;;) { burn(1); await null }'],
    ['loops between awaits', 'for (;;) { for (let i = 0; i < 1e4; i++); await null }'],
    ['only awaits', 'for (;;) await null'],
  ])('is not charged for another that %s', async (_what, heavy) => {
    const app = await startBeside(heavy)
    await sendTogether(app.port, 'light.test', 'heavy.test')
    await sendTogether(app.port, 'heavy.test', 'light.test')
    expect(failures(app).map(({ plugin }) => plugin.name)).toEqual(['heavy', 'heavy'])
  })
})

it('a plugin may use its budget in every turn anew', async () => {
  const code =
    'for (let turn = 0; turn < 6; turn++) { burn(15); for (let i = 0; i < 100; i++); await new Promise((r) => setImmediate(r)) }'
  const app = await startApp({
    plugins: [{ name: 'steady', phase: 'access', code }],
    options: { globals: { burn }, budget_ms: BUDGET_MS },
  })
  await app.request.get('/').expect(200)
  expect(failures(app)).toEqual([])
})

it.each([
  ['in a loop', 'for (;;) slow()'],
  ['in a loop that was quick at first', 'for (let i = 0; ; i++) if (i < 1e5) Math.max(i); else slow()'],
  ['in a loop behind quick ones', 'for (let i = 0; i < 1e5; i++) Math.max(i); while (true) slow()'],
  ['in a recursion', 'const f = () => { slow(); f() }; f()', 50],
  ['in callbacks', 'Array(1000).fill(0).map(() => slow())', 50],
])('a call that takes its time is not made many times: %s', async (_, code, most = 20) => {
  let turns = 0
  const slow = () => {
    turns += 1
    burn(10)
  }
  const app = await startApp({
    plugins: [{ name: 'slow', phase: 'access', code }],
    options: { globals: { slow }, budget_ms: BUDGET_MS },
  })
  await app.request.get('/').expect(200)
  expect(failures(app)).toMatchObject([{ error: { code: 'ERR_DYNACODE_BUDGET' } }])
  expect(turns).toBeLessThanOrEqual(most)
})

it('each run has a budget of its own', async () => {
  const app = await startApp({
    plugins: [{ name: 'steady', phase: 'access', code: 'for (let i = 0; i < 10; i++) burn(1)' }],
    options: { globals: { burn }, budget_ms: BUDGET_MS },
  })
  const text = (close: string) => `GET / HTTP/1.1\r\nHost: a\r\n${close}\r\n`
  const answers = await exchange(app.port, `${text('').repeat(11)}${text('Connection: close\r\n')}`)
  expect(answers.match(/200 OK/g)).toHaveLength(12)
  expect(failures(app)).toEqual([])
})

async function repeat(times: number, ms: number): Promise<void> {
  for (let time = 0; time < times; time += 1) {
    burn(ms)
    await null
  }
}
