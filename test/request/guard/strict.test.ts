import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { everywhere, plugin, startApp } from '../../fixtures/app.ts'
import { payloadsOf, record } from '../../fixtures/instance.ts'

/** Inspectors that cannot be used: Node's permission model refuses it, another realm has it, a build of Node has none. */
const UNUSABLE: Record<string, () => unknown> = {
  'is not allowed': () => ({
    Session: class {
      connect() {
        throw Object.assign(new Error('Access to this API has been restricted'), { code: 'ERR_ACCESS_DENIED' })
      }
    },
  }),
  'belongs to another realm': () => ({
    Session: class {
      connect() {}
      post() {}
      disconnect() {}
    },
  }),
  'is not there': () => undefined,
}

describe.each(Object.keys(UNUSABLE))('where the inspector %s', (how) => {
  async function start(fields: object) {
    const real = process.getBuiltinModule
    const spy = vi.spyOn(process, 'getBuiltinModule')
    spy.mockImplementation(((name: string) =>
      name === 'node:inspector' ? UNUSABLE[how]?.() : real.call(process, name)) as typeof real)
    onTestFinished(() => spy.mockRestore())
    const app = await startApp({ plugins: [] })
    const seen = record(app.dyna)
    await app.serve(everywhere([plugin('access', 'ctx.set("x-ran", "1")', { guard: 'strict', ...fields })]))
    return { ...app, told: payloadsOf(seen, 'bg_compile_error').map(({ error }) => error) }
  }

  it('G53 a plugin that asks for strict mode is refused, and that is told', async () => {
    const { told, dyna, request } = await start({})
    expect(told).toMatchObject([{ code: 'ERR_DYNACODE_STRICT' }])
    expect(dyna.status().plugins).toMatchObject([{ state: 'refused' }])
    await request
      .get('/')
      .expect(200, 'app')
      .expect((response) => expect(response.headers).not.toHaveProperty('x-ran'))
  })

  it('G53 nobody gets past it where it fails closed', async () => {
    const { told, request } = await start({ on_failure: 'closed' })
    expect(told).toMatchObject([{ code: 'ERR_DYNACODE_STRICT' }])
    await request.get('/').expect(503)
  })

  it('G53 one without strict mode runs', async () => {
    const { told, request } = await start({ guard: 'on' })
    expect(told).toEqual([])
    await request.get('/').expect(200).expect('x-ran', '1')
  })
})
