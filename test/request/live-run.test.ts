import type { Context } from 'koa'
import { describe, expect, it, vi } from 'vitest'
import { failures, plugin, startApp } from '../fixtures/app.ts'

const isBlamed = (name: string) => expect.objectContaining({ plugin: expect.objectContaining({ name }) })

describe('a run whose record is used again', () => {
  it('keeps its own while another one comes in between', async () => {
    const seen: unknown[] = []
    const between: { run: (ctx: Context) => void } = { run: () => undefined }
    const plugins = [
      { ...plugin('access', `between.run(ctx); exit(402, ctx.path)`), when: { paths: ['/outer'] } },
      { ...plugin('access', `exit(401, ctx.path)`), when: { paths: ['/inner'] } },
    ]
    const { request, dyna } = await startApp({ plugins, options: { globals: { between } } })
    between.run = ({ app, req, res }) => {
      const inner = app.createContext(Object.create(req, { url: { value: '/inner', writable: true } }), res)
      inner.originalUrl = '/inner'
      void dyna(inner, async () => undefined)
      seen.push(inner.status, inner.body)
    }
    await request.get('/outer').expect(402, '/outer')
    expect(seen).toEqual([401, '/inner'])
  })

  it.each([
    ['a promise that nobody waits for', `reject('first')`],
    ['a promise that it returns', `return reject('first')`],
    ['a listener of the app', `ctx.res.on('pipe', failing); ctx.res.emit('pipe')`],
  ])('is blamed for %s, whoever runs after it', async (_, code) => {
    const reject = async (message: string) => {
      await new Promise((done) => setImmediate(done))
      throw new Error(message)
    }
    const failing = () => {
      throw new Error('first')
    }
    const plugins = [
      { ...plugin('access', code), name: 'first' },
      { ...plugin('access', `ctx.set('X-A', '1')`), name: 'second' },
      { ...plugin('access', `ctx.set('X-B', '1')`), name: 'third' },
    ]
    const running = await startApp({ plugins, options: { globals: { reject, failing } } })
    await running.request.get('/').expect(200).expect('X-B', '1')
    await vi.waitFor(() => expect(failures(running)).toEqual([isBlamed('first')]))
  })

  it('is not used again once it was stopped', async () => {
    const plugins = [
      { ...plugin('access', `while (ctx.path === '/slow') {}`), name: 'slow', budget_ms: 5 },
      { ...plugin('access', `ctx.set('X-After', ctx.path)`), name: 'after' },
    ]
    const running = await startApp({ plugins })
    await running.request.get('/').expect('X-After', '/')
    await running.request.get('/slow').expect(200).expect('X-After', '/slow')
    await running.request.get('/').expect(200).expect('X-After', '/')
    expect(failures(running)).toEqual([isBlamed('slow')])
  })
})
