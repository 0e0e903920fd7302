import { Agent, request as send } from 'node:http'
import { describe, expect, it } from 'vitest'
import { createDeferred, everywhere, plugin, startApp } from '../../fixtures/app.ts'

const PHASES = ['rewrite', 'access', 'content', 'balancer', 'header_filter', 'body_filter', 'log'] as const

/** A document whose plugins note its version in each phase, waiting here and there. */
function versioned(version: number) {
  const pass = (code: string) => `${code}(ctx.state.versions ??= []).push(${version})`
  return {
    general: { version },
    domains: [
      {
        name: '*',
        plugins: PHASES.map((phase, index) => ({
          name: phase,
          phase,
          code:
            phase === 'log'
              ? `ctx.state.versions.push(${version}); done(ctx.state.versions)`
              : pass(index % 2 === 0 ? 'await new Promise(setImmediate); ' : ''),
        })),
      },
    ],
  }
}

const REQUESTS = 1000
const AT_ONCE = 60

describe('a new document while requests are under way', () => {
  it('is not seen by them: each passes all phases in one version', async () => {
    const passed: number[][] = []
    const { port, dyna, api, errors } = await startApp({
      document: versioned(0),
      options: { globals: { setImmediate, done: (versions: number[]) => void passed.push(versions) } },
      inner: async (ctx) => {
        await new Promise((done) => setImmediate(done))
        ctx.body = 'app'
      },
    })
    const agent = new Agent({ keepAlive: true, maxSockets: AT_ONCE })
    const ask = () =>
      new Promise<number>((resolve, reject) => {
        send({ port, host: '127.0.0.1', agent }, (response) => {
          response.resume().on('end', () => resolve(response.statusCode ?? 0))
        })
          .on('error', reject)
          .end()
      })
    let asked = 0
    const client = async () => {
      while (asked < REQUESTS) {
        asked += 1
        expect(await ask()).toBe(200)
      }
    }
    let version = 0
    let clientsAreDone = false
    const swapping = (async () => {
      while (!clientsAreDone) {
        version += 1
        api.serve(versioned(version))
        expect((await dyna.refresh()).updated).toBe(true)
      }
    })()
    await Promise.all(Array.from({ length: AT_ONCE }, client))
    clientsAreDone = true
    await swapping
    agent.destroy()

    expect(errors).toEqual([])
    expect(passed).toHaveLength(REQUESTS)
    const mixed = passed.filter((versions) => versions.length !== PHASES.length || new Set(versions).size !== 1)
    expect(mixed).toEqual([])
    expect(new Set(passed.flat()).size).toBeGreaterThan(5)
  })

  it('lets them end with the plugins they began with, those it removes among them', async () => {
    const [reached, held] = [createDeferred(), createDeferred()]
    const { request, serve } = await startApp({
      plugins: [plugin('header_filter', `ctx.set('X-Version', '1')`), plugin('body_filter', `return chunk + ' of 1'`)],
      inner: async (ctx) => {
        if (ctx.path === '/slow') {
          reached.resolve()
          await held.promise
        }
        ctx.body = 'app'
      },
    })
    const slow = request.get('/slow').then((response) => [response.headers['x-version'], response.text])
    await reached.promise
    await serve(everywhere([plugin('header_filter', `ctx.set('X-Version', '2')`)]))
    await request.get('/').expect('X-Version', '2').expect('app')
    held.resolve()
    expect(await slow).toEqual(['1', 'app of 1'])
  })

  it('lets them end, too, when it removes every plugin, switches them off or skips their host', async () => {
    for (const document of [
      { domains: [] },
      { general: { status: 'disabled' }, domains: [] },
      { general: { skip_domains: ['*'] }, ...everywhere([]) },
    ]) {
      const [reached, held] = [createDeferred(), createDeferred()]
      const { request, serve } = await startApp({
        plugins: [plugin('access', 'reached(); await held'), plugin('header_filter', `exit(403, 'refused')`)],
        options: { globals: { reached: reached.resolve, held: held.promise } },
      })
      const slow = request.get('/').then((response) => response.status)
      await reached.promise
      await serve(document)
      await request.get('/').expect(200, 'app')
      held.resolve()
      expect(await slow).toBe(403)
    }
  })
})
