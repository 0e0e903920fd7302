import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { exchange, failures, plugin, startApp } from '../fixtures/app.ts'
import { payloadsOf } from '../fixtures/instance.ts'

function burn(ms: number): void {
  const end = performance.now() + ms
  while (performance.now() < end);
}

/** The end of the one run of a plugin, as events tell it. */
async function endOf(code: string, fields: Record<string, unknown> = {}) {
  const running = await startApp({
    plugins: [plugin('access', code, { budget_ms: 5000, ...fields })],
    options: { globals: { burn, sleep } },
  })
  const { status } = await running.request.get('/')
  const [done] = payloadsOf(running.seen, 'rt_plugins_done')
  const [failed] = failures(running)
  return { status, done, failed }
}

describe('the outcome of a run that did not fail', () => {
  it.each([
    ['done', 'that returns', `return 1`, 200],
    ['done', 'that returns later', `await null`, 200],
    ['done', 'that answers and lets others go on', `ctx.status = 418`, 418],
    ['exit', 'that calls exit()', `exit(403)`, 403],
    ['exit', 'that calls exit() later', `await null; exit(403)`, 403],
    ['exit', 'that calls exit() and swallows what it throws', `try { exit(403) } catch {}`, 403],
    ['exit', 'that throws an http-error', `ctx.throw(401)`, 401],
    ['exit', 'that throws an http-error later', `await null; ctx.throw(401)`, 401],
  ])('is %s for one %s', async (outcome, _what, code, status) => {
    const end = await endOf(code)
    expect([end.status, end.done?.outcome, end.failed]).toEqual([status, outcome, undefined])
  })
})

describe('the time for which a run held the event loop', () => {
  it.each([
    ['', ''],
    [' and fails', `; throw new Error('broken')`],
  ])('is all of it for a plugin that awaits nothing%s', async (_what, then) => {
    const { done, failed } = await endOf(`burn(5)${then}`)
    const { sync_ms, duration_ms } = done ?? failed ?? {}
    expect(sync_ms).toBe(duration_ms)
    expect(sync_ms).toBeGreaterThanOrEqual(5)
  })

  it.each([
    ['before the first await', `burn(20); await sleep(60)`],
    ['after an await', `await sleep(60); burn(20)`],
    ['before, between and after awaits', `burn(5); await sleep(30); burn(10); await sleep(30); burn(5)`],
    ['in functions of its own', `const f = async () => { await sleep(60); burn(20); return 1 }; await f()`],
    [
      'in functions that wait for the same',
      `const f = async () => { await sleep(60); burn(10) }; await Promise.all([f(), f()])`,
    ],
    ['in a callback', `await new Promise((done) => setTimeout(() => { burn(20); done() }, 60))`],
    ['before it fails', `await sleep(60); burn(20); throw new Error('broken')`],
    ['before it ends the request', `await sleep(60); burn(20); exit(403)`],
    ['until it is stopped', `await sleep(60); burn(20); for (;;) burn(1)`, { budget_ms: 10 }],
  ])('is what its code took %s, without the waiting', async (_what, code, fields: Record<string, unknown> = {}) => {
    const { done, failed } = await endOf(code, fields)
    const { sync_ms = 0, duration_ms = 0 } = done ?? failed ?? {}
    expect(sync_ms).toBeGreaterThanOrEqual(20)
    expect(duration_ms - sync_ms).toBeGreaterThan(50)
  })

  it('is none of what it waits for when it takes too long', async () => {
    const { failed } = await endOf(`await sleep(1); await new Promise(() => {})`, { timeout_ms: 100 })
    expect(failed).toMatchObject({ error: { code: 'ERR_DYNACODE_TIMEOUT' } })
    expect((failed?.duration_ms ?? 0) - (failed?.sync_ms ?? 0)).toBeGreaterThan(80)
  })

  it('is none of what others did in the same turn', async () => {
    const running = await startApp({
      document: {
        domains: [{ name: 'a.test', plugins: [plugin('access', 'for (let i = 0; i < 500; i++) await null')] }],
      },
      options: { budget_ms: 5000 },
      outer: [
        async (ctx, next) => {
          if (ctx.hostname === 'b.test') {
            for (let count = 0; count < 100; count += 1) {
              burn(2)
              await null
            }
          }
          await next()
        },
      ],
    })
    await exchange(
      running.port,
      'GET / HTTP/1.1\r\nHost: a.test\r\n\r\nGET / HTTP/1.1\r\nHost: b.test\r\nConnection: close\r\n\r\n',
    )
    const [done] = payloadsOf(running.seen, 'rt_plugins_done')
    expect((done?.duration_ms ?? 0) - (done?.sync_ms ?? 0)).toBeGreaterThan(150)
  })

  it('is known up to the first await without the guard', async () => {
    const { done } = await endOf(`burn(20); await sleep(1); burn(20)`, { guard: 'off' })
    expect(done?.sync_ms).toBeGreaterThanOrEqual(20)
    expect((done?.duration_ms ?? 0) - (done?.sync_ms ?? 0)).toBeGreaterThanOrEqual(20)
  })
})

describe('an error that comes up when the run is over', () => {
  it('has no time of its own', async () => {
    const running = await startApp({ plugins: [plugin('access', `setTimeout(() => { throw new Error('late') }, 1)`)] })
    await running.request.get('/').expect(200)
    await expect.poll(() => failures(running)).toMatchObject([{ duration_ms: 0, sync_ms: 0, outcome: 'open' }])
  })
})
