import { createServer } from 'node:http'
import { Readable } from 'node:stream'
import Koa, { type Middleware } from 'koa'
import supertest from 'supertest'
import { expect, onTestFinished, test, vi } from 'vitest'
import { OBSERVE_RUNS } from '../../lib/events/run-observers.ts'
import { dynacode } from '../../lib/index.ts'
import type { Observed } from '../../lib/observability/metrics/index.ts'

// A clock that only what this file says moves on, so that each run takes exactly what its own code took.
const clock = vi.hoisted(() => ({ now: 1000 }))
vi.mock('../../lib/time/steady-clock.ts', () => ({ steadyNow: () => clock.now }))

const take = (ms: number) => {
  clock.now += ms
}
const run = (name: string, phase: string, ms: number, more: object = {}) => ({
  name,
  phase,
  code: `take(${ms})`,
  ...more,
})

const answer: Middleware = (ctx) => {
  ctx.body = 'app'
}

/** Asks an app with these plugins once, and tells how long whoever counts them has heard that each run took. */
async function durationsOf(
  plugins: readonly object[],
  {
    inner = answer,
    outer = [],
    count = plugins.length,
    ...options
  }: Record<string, unknown> & { inner?: Middleware; outer?: Middleware[]; count?: number } = {},
) {
  const bytes = Buffer.from(JSON.stringify({ domains: [{ name: '*', plugins }] }))
  const dyna = dynacode({
    source: { fetch: async () => ({ bytes }) },
    logger: false,
    globals: { take, hold: async (ms: number) => take(ms) },
    ...options,
  })
  onTestFinished(() => dyna.close())
  await dyna.ready()
  const runs: [string, number][] = []
  const { [OBSERVE_RUNS]: observe } = dyna as Observed
  observe?.(({ name }, _phase, _outcome, duration_ms) => void runs.push([name, duration_ms]))
  const app = new Koa()
  for (const middleware of [...outer, dyna, inner]) app.use(middleware)
  app.silent = true
  await supertest(createServer(app.callback())).get('/')
  await vi.waitFor(() => expect(runs.length).toBe(count))
  return runs
}

test('runs that follow each other', async () => {
  const plugins = [run('a', 'rewrite', 1), run('b', 'access', 2), run('c', 'access', 3), run('d', 'content', 4)]
  expect(await durationsOf(plugins)).toEqual([
    ['a', 1],
    ['b', 2],
    ['c', 3],
    ['d', 4],
  ])
})

test('the app between them is in none', async () => {
  const inner: Middleware = async (ctx) => {
    take(1000)
    ctx.body = 'app'
  }
  const plugins = [run('a', 'access', 1), run('b', 'header_filter', 2), run('c', 'body_filter', 3), run('d', 'log', 4)]
  expect(await durationsOf(plugins, { inner })).toEqual([
    ['a', 1],
    ['b', 2],
    ['c', 3],
    ['d', 4],
  ])
})

test('nor is an app that fails, nor what is made of its error', async () => {
  const inner: Middleware = () => {
    take(1000)
    throw Object.assign(new Error('no'), { status: 400, expose: true })
  }
  const plugins = [run('a', 'access', 1), run('b', 'header_filter', 2), run('c', 'body_filter', 3)]
  expect(await durationsOf(plugins, { inner })).toEqual([
    ['a', 1],
    ['b', 2],
    ['c', 3],
  ])
})

test('nor is who handles, in front of dynacode, what a plugin throws', async () => {
  const handler: Middleware = async (_ctx, next) => {
    try {
      await next()
    } catch (error) {
      take(1000)
      throw error
    }
  }
  const plugins = [run('a', 'access', 0, { code: 'take(1); ctx.throw(403)' }), run('b', 'header_filter', 2)]
  expect(await durationsOf(plugins, { outer: [handler] })).toEqual([
    ['a', 1],
    ['b', 2],
  ])
})

test('nor is what a body waits for between its chunks', async () => {
  async function* chunks() {
    yield 'one'
    take(1000)
    yield 'two'
    take(1000)
  }
  const inner: Middleware = (ctx) => {
    ctx.body = Readable.from(chunks())
  }
  const runs = await durationsOf([run('a', 'body_filter', 2)], { inner, count: 3 })
  // The third is told of the end.
  expect(runs).toEqual(Array(3).fill(['a', 2]))
})

test('a run that waits ends when it is over, and the next one begins there', async () => {
  const plugins = [run('a', 'access', 0, { code: `await hold(5); await null; take(1)` }), run('b', 'access', 2)]
  expect(await durationsOf(plugins)).toEqual([
    ['a', 6],
    ['b', 2],
  ])
})

test('nor what a plugin in shadow mode took between them, nor who listens for the beginning of a run', async () => {
  const plugins = [run('a', 'access', 1), run('shadow', 'access', 1000, { shadow: true }), run('b', 'access', 2)]
  const on_start = () => take(1000)
  expect(await durationsOf(plugins, { count: 2, on_start })).toEqual([
    ['a', 1],
    ['b', 2],
  ])
})

test('nor who listens for its end', async () => {
  const plugins = [run('a', 'access', 1), run('b', 'access', 2)]
  expect(await durationsOf(plugins, { on_success: () => take(1000) })).toEqual([
    ['a', 1],
    ['b', 2],
  ])
})
