import { createServer } from 'node:http'
import type { Context } from 'koa'
import supertest from 'supertest'
import { describe, expect, it, vi } from 'vitest'
import { type CanaryOptions, canary, type DynacodeOptions } from '../../../lib/index.ts'
import { createApp, createDeferred, listen } from '../../fixtures/app.ts'
import { createInstance } from '../../fixtures/instance.ts'
import { startPluginApi } from '../../fixtures/plugin-api.ts'

/** A document that shows in two phases that a request got it. */
const documentOf = (side: string, code = '') => ({
  domains: [
    {
      name: '*',
      plugins: [
        { name: 'in', phase: 'access', code: `ctx.state.side = '${side}'; ${code}` },
        { name: 'out', phase: 'header_filter', code: `ctx.set('x-side', ctx.state.side + '-${side}')` },
      ],
    },
  ],
})
const TOKEN = 'a-token-of-32-random-characters!'.replace('!', '0')

async function startCanary(
  given: Partial<CanaryOptions> = {},
  candidate_document: unknown = documentOf('candidate'),
  options: DynacodeOptions = {},
) {
  const [live_api, candidate_api] = [await startPluginApi(documentOf('live')), await startPluginApi(candidate_document)]
  const common = { logger: false as const, breaker_failures: 0 }
  const live = createInstance({ plugin_api_uri: live_api.uri, ...common })
  const candidate = createInstance({ plugin_api_uri: candidate_api.uri, ...common, ...options })
  await live.ready()
  await candidate.refresh()
  const middleware = canary({ live, candidate, percent: 50, by: ['cookie:sid', 'header:x-user'], ...given })
  const seen: Context['headers'][] = []
  const { app } = createApp([
    middleware,
    (ctx) => {
      seen.push(ctx.headers)
      ctx.status = ctx.state.status ?? 200
      ctx.body = 'app'
    },
  ])
  const server = createServer(app.callback())
  await listen(server)
  const request = supertest(server)
  const ask = async (headers: Record<string, string>) => (await request.get('/').set(headers)).headers['x-side']
  const askMany = async (count: number) => {
    const sides: (string | undefined)[] = []
    for (let user = 0; user < count; user += 1) sides.push(await ask({ 'x-user': `u${user}` }))
    return sides
  }
  const countCandidates = async (count = 60) =>
    (await askMany(count)).filter((side) => side === 'candidate-candidate').length
  return { live, candidate, live_api, candidate_api, middleware, request, seen, ask, askMany, countCandidates }
}

describe('a candidate document', () => {
  it('gets its share of the requests, each through all phases, and the same clients whatever is asked', async () => {
    const app = await startCanary()
    const sides = await app.askMany(60)
    expect(new Set(sides)).toEqual(new Set(['live-live', 'candidate-candidate']))
    const count = sides.filter((side) => side === 'candidate-candidate').length
    expect(count).toBeGreaterThan(15)
    expect(count).toBeLessThan(45)
    expect(await app.askMany(60)).toEqual(sides)
    expect(app.middleware.status()).toEqual({ percent: 50, stopped: null, candidate: null, live: null })
  })

  it('keeps a client on its side by the first key that it has', async () => {
    const app = await startCanary()
    const sides = await app.askMany(20)
    const [inside, outside] = [sides.indexOf('candidate-candidate'), sides.indexOf('live-live')]
    expect(await app.ask({ cookie: `sid=u${inside}`, 'x-user': `u${outside}` })).toBe('candidate-candidate')
    expect(await app.ask({ cookie: `sid=u${outside}`, 'x-user': `u${inside}` })).toBe('live-live')
  })

  it('is promoted and dropped at once, and a larger share only adds clients', async () => {
    const app = await startCanary({ percent: 0 })
    expect(await app.countCandidates()).toBe(0)
    let before: readonly (string | undefined)[] = await app.askMany(40)
    for (const percent of [20, 60, 100]) {
      app.middleware.set_percent(percent)
      const sides = await app.askMany(40)
      expect(before.filter((side, at) => side === 'candidate-candidate' && sides[at] !== side)).toEqual([])
      before = sides
    }
    expect(new Set(before)).toEqual(new Set(['candidate-candidate']))
    app.middleware.set_percent(0)
    expect(await app.countCandidates()).toBe(0)
    expect(() => app.middleware.set_percent(101)).toThrow('canary.set_percent: expected a number of at most 100, got')
  })

  it('that is refused, or cannot be had, leaves every request to the live document', async () => {
    const app = await startCanary({ percent: 100 }, { domains: 'none' })
    expect(await app.countCandidates(10)).toBe(0)
    expect(app.middleware.status().percent).toBe(0)
    app.candidate_api.serve(documentOf('candidate'))
    await app.candidate.refresh()
    expect(await app.countCandidates(10)).toBe(10)
    app.candidate_api.serve({ domains: 'none' })
    await app.candidate.refresh()
    expect(await app.countCandidates(10)).toBe(10)
    expect(app.live.status()).toMatchObject({ last_error: null })
  })

  it.each<[string, (app: Awaited<ReturnType<typeof startCanary>>) => unknown]>([
    ['is switched off in this process', ({ candidate }) => candidate.disable()],
    ['is closed', ({ candidate }) => candidate.close()],
    [
      'is disabled by its document',
      ({ candidate, candidate_api }) => {
        candidate_api.serve({ ...documentOf('candidate'), general: { status: 'disabled' } })
        return candidate.refresh()
      },
    ],
  ])('that %s leaves every request to the live document: none goes without plugins', async (_, end) => {
    const app = await startCanary({ percent: 100 })
    expect(await app.countCandidates(5)).toBe(5)
    await end(app)
    expect(new Set(await app.askMany(10))).toEqual(new Set(['live-live']))
  })

  it('keeps a request that began with it, whatever becomes of it meanwhile', async () => {
    const entered = createDeferred<void>()
    const left = createDeferred<void>()
    const code = 'entered.resolve(); await left.promise'
    const app = await startCanary({ percent: 100 }, documentOf('candidate', code), { globals: { entered, left } })
    const slow = app.ask({ 'x-user': 'u1' })
    await entered.promise
    app.middleware.set_percent(0)
    expect(await app.ask({ 'x-user': 'u1' })).toBe('live-live')
    left.resolve()
    expect(await slow).toBe('candidate-candidate')
  })
})

describe('a candidate that is watched', () => {
  const stop_when = { status_5xx_rate: { above_control: 0.02 } }

  it('is stopped as a whole for what its requests get, and begins again with another version', async () => {
    const on_stop = vi.fn(() => {
      throw new Error('harms nobody')
    })
    const app = await startCanary({ stop_when, on_stop }, documentOf('candidate', 'ctx.state.status = 502'))
    await app.askMany(150)
    const { stopped, percent, candidate, live } = app.middleware.status()
    expect(stopped).toMatchObject({ condition: 'status_5xx_rate', limit: 0.02, above_control: true })
    expect(percent).toBe(0)
    expect(candidate?.status_5xx).toBe(candidate?.responses)
    expect(candidate?.requests).toBeLessThan(50)
    expect(live?.status_5xx).toBe(0)
    expect(on_stop).toHaveBeenCalledExactlyOnceWith({ ...stopped, inside: candidate, control: live })
    expect(new Set(await app.askMany(20))).toEqual(new Set(['live-live']))
    app.candidate_api.serve(documentOf('candidate'))
    await app.candidate.refresh()
    expect(await app.countCandidates()).toBeGreaterThan(10)
    expect(app.middleware.status()).toMatchObject({ percent: 50, stopped: null, candidate: { status_5xx: 0 } })
  })

  it('begins again where somebody sets its share', async () => {
    const app = await startCanary({ stop_when }, documentOf('candidate', 'ctx.state.status = 502'))
    await app.askMany(150)
    expect(app.middleware.status().percent).toBe(0)
    app.middleware.set_percent(100)
    expect(app.middleware.status()).toMatchObject({ percent: 100, stopped: null, candidate: { requests: 0 } })
    expect(await app.countCandidates(10)).toBe(10)
  })

  it('goes on in an outage of the app that both groups see', async () => {
    const app = await startCanary({ stop_when }, documentOf('candidate', 'ctx.state.status = 502'))
    app.live_api.serve(documentOf('live', 'ctx.state.status = 502'))
    await app.live.refresh()
    await app.askMany(100)
    expect(app.middleware.status()).toMatchObject({ percent: 50, stopped: null })
  })
})

describe('a request with a token', () => {
  it('chooses its document, and neither plugins nor the app see the token', async () => {
    const app = await startCanary({ percent: 0, choose: { tokens: [TOKEN] } })
    expect(await app.ask({ 'dynacode-side': `candidate ${TOKEN}` })).toBe('candidate-candidate')
    app.middleware.set_percent(100)
    expect(await app.ask({ 'dynacode-side': `live ${TOKEN}` })).toBe('live-live')
    expect(await app.ask({ 'dynacode-side': `live ${TOKEN.replace('a', 'b')}` })).toBe('candidate-candidate')
    expect(await app.ask({ 'dynacode-side': TOKEN })).toBe('candidate-candidate')
    expect(app.seen).toHaveLength(4)
    for (const headers of app.seen) expect(headers).not.toHaveProperty('dynacode-side')
  })

  it('does not choose where nobody may, or a candidate that is not there', async () => {
    const closed = await startCanary({ percent: 0 })
    expect(await closed.ask({ 'dynacode-side': `candidate ${TOKEN}` })).toBe('live-live')
    const app = await startCanary({ choose: { tokens: [TOKEN] } }, { domains: 'none' })
    expect(await app.ask({ 'dynacode-side': `candidate ${TOKEN}` })).toBe('live-live')
  })
})

describe('canary()', () => {
  it.each<[object, string]>([
    [{ live: undefined }, 'option live: expected an instance that dynacode(options) returned'],
    [{ candidate: () => undefined }, 'option candidate: expected an instance that dynacode(options) returned'],
    [{ percent: 120 }, 'option percent: expected a number of at most 100'],
    [{ by: 'session' }, 'option by: expected "ip", "random"'],
    [{ by: ['ip', 'cookie:a'] }, 'option by[1]: expected nothing after "ip"'],
    [{ precent: 5 }, 'option precent: is not known'],
    [{ stop_when: {} }, 'option stop_when: expected at least one of'],
    [{ stop_when: { error_rate: 0.1 } }, 'option stop_when.error_rate: expected status_5xx_rate or p99_ms'],
    [{ stop_when: { exit_rate: 0.1 } }, 'option stop_when.exit_rate: expected status_5xx_rate or p99_ms'],
    [{ stop_when: { p99_ms: 20 } }, 'option stop_when.p99_ms: expected { above_control: … }'],
    [
      { percent: 100, stop_when: { p99_ms: { above_control: 20 } } },
      'option percent: expected less than 100: no request is left for the control group',
    ],
    [{ choose: {} }, 'option choose: expected tokens, or trusted_keys'],
  ])('refuses %j', (given, message) => {
    const source = { fetch: async () => ({ bytes: Buffer.from('{"domains":[]}') }) }
    const [live, candidate] = [createInstance({ source }), createInstance({ source: { ...source } })]
    expect(() => canary({ live, candidate, percent: 5, ...given } as CanaryOptions)).toThrow(`canary: ${message}`)
  })
})
