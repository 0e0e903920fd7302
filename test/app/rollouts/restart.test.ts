import { join } from 'node:path'
import { describe, expect, it, vi } from 'vitest'
import type { Payload } from '../../../lib/index.ts'
import { type PluginFields, serveBehind } from '../../fixtures/app.ts'
import { makeFolder } from '../../fixtures/folder.ts'
import { createReadyInstance } from '../../fixtures/instance.ts'
import { startPluginApi } from '../../fixtures/plugin-api.ts'

const documentOf = (...plugins: PluginFields[]) => ({ domains: [{ name: '*', plugins }] })
const FAIL = 'if (switches.bad) throw new Error("bad")'
const GUARDED = { percent: 50, by: 'header:x-user', stop_when: { error_rate: 0.05, min_runs: 5 } }

const member = (name: string, version: number, code = '', fields: object = {}): PluginFields => ({
  name,
  phase: 'header_filter',
  unit: 'checkout',
  code: `${code}; ctx.set('x-${name}', '${version}')`,
  ...fields,
})

/** Processes of one machine, one after the other: what they share is the disk cache. The API is there for the first alone. */
async function startMachine() {
  const api = await startPluginApi()
  const cache_path = join(makeFolder(), 'plugins.cache')
  const switches = { bad: true }
  const on_unit_revert = vi.fn<(event: Payload<'bg_unit_reverted'>) => void>()
  const options = {
    plugin_api_uri: api.uri,
    cache_path,
    globals: { switches },
    logger: false as const,
    breaker_failures: 0,
    on_unit_revert,
  }

  async function start(more: object = {}) {
    const dyna = await createReadyInstance({ ...options, ...more })
    const request = await serveBehind(dyna)
    const ask = async (user = 'u1') => {
      const { headers } = await request.get('/').set('x-user', user)
      return `${headers['x-a'] ?? '-'}${headers['x-b'] ?? '-'}`
    }
    const askMany = async (count = 60) => {
      const answers: string[] = []
      for (let user = 0; user < count; user += 1) answers.push(await ask(`u${user}`))
      return answers
    }
    const states = () => dyna.status().plugins.map(({ name, state }) => `${name}: ${state}`)
    return { dyna, ask, askMany, states }
  }

  /** Has an instance live with each of the documents in turn. */
  async function startWith(more: object, ...documents: unknown[]) {
    api.serve(documents[0])
    const app = await start(more)
    for (const document of documents.slice(1)) {
      api.serve(document)
      expect(await app.dyna.refresh()).toMatchObject({ updated: true })
    }
    return app
  }

  /** The process ends, the API is gone, and another process begins with what is on the disk. */
  async function restart(app: Awaited<ReturnType<typeof start>>, more: object = {}) {
    await app.dyna.close()
    api.answer({ status: 503 })
    const next = await start(more)
    expect(next.dyna.status()).toMatchObject({ from: 'cache' })
    return next
  }
  return { api, switches, on_unit_revert, startWith, restart, start }
}

describe('a process that starts with the disk cache', () => {
  it('begins a stopped rollout anew, with new counts, and stops it after as many runs', async () => {
    const { startWith, restart } = await startMachine()
    const app = await startWith({}, documentOf({ ...member('a', 1, FAIL, { rollout: GUARDED }), unit: undefined }))
    await app.askMany()
    expect(app.states()).toEqual(['a: stopped'])
    const next = await restart(app)
    expect(next.dyna.status().plugins).toMatchObject([
      { state: 'live', rollout: { percent: 50, stopped: null, inside: { runs: 0 } } },
    ])
    await next.askMany()
    expect(next.dyna.status().plugins).toMatchObject([
      { state: 'stopped', rollout: { inside: { runs: 5, errors: 5 } } },
    ])
  })

  it('leaves a rollout stopped that the document has stopped since', async () => {
    const { startWith, restart } = await startMachine()
    const plugin = (percent: number) => ({
      ...member('a', 1, FAIL, { rollout: { ...GUARDED, percent } }),
      unit: undefined,
    })
    const app = await startWith({}, documentOf(plugin(50)), documentOf(plugin(0)))
    const next = await restart(app)
    expect(new Set(await next.askMany())).toEqual(new Set(['--']))
    expect(next.dyna.status().plugins).toMatchObject([{ state: 'live', rollout: { percent: 0, inside: { runs: 0 } } }])
  })

  it('begins a unit that went back in the version of the document, and has nothing to go back to', async () => {
    const { startWith, restart, switches, on_unit_revert } = await startMachine()
    const app = await startWith(
      { breaker_failures: 3 },
      documentOf(member('a', 1), member('b', 1)),
      documentOf(member('a', 2), member('b', 2, FAIL)),
    )
    expect((await app.askMany(10)).slice(0, 3)).toEqual(['2-', '2-', '2-'])
    await vi.waitFor(async () => expect(await app.ask()).toBe('11'))
    const next = await restart(app, { breaker_failures: 3 })
    expect(next.states()).toEqual(['a: live', 'b: live'])
    expect(await next.askMany(5)).toEqual(['2-', '2-', '2-', '--', '--'])
    expect(on_unit_revert).toHaveBeenCalledTimes(1)
    switches.bad = false
    const third = await restart(next)
    expect(await third.ask()).toBe('22')
  })

  it('stops all of a unit whose rollout stops again, since there is nothing to go back to', async () => {
    const { startWith, restart, on_unit_revert } = await startMachine()
    const app = await startWith(
      {},
      documentOf(member('a', 1), member('b', 1)),
      documentOf(member('a', 2, '', { rollout: GUARDED }), member('b', 2, FAIL)),
    )
    await app.askMany()
    await vi.waitFor(() => expect(on_unit_revert).toHaveBeenCalledTimes(1))
    expect(app.states()).toEqual(['a: last_good', 'b: last_good'])
    const next = await restart(app)
    expect((await next.askMany()).filter((answer) => answer === '2-')).toHaveLength(5)
    expect(next.states()).toEqual(['a: stopped', 'b: stopped'])
    expect(new Set(await next.askMany(10))).toEqual(new Set(['--']))
    expect(on_unit_revert).toHaveBeenCalledTimes(1)
  })

  it('runs nothing of a unit one of whose plugins is refused: it would be half of it', async () => {
    const { startWith, restart } = await startMachine()
    const app = await startWith(
      {},
      documentOf(member('a', 1), member('b', 1)),
      documentOf(member('a', 2), member('b', 2, 'ctx.set(')),
    )
    expect(await app.ask()).toBe('11')
    const next = await restart(app)
    expect(await next.ask()).toBe('--')
    expect(next.states()).toEqual(['a: refused', 'b: refused'])
  })
})

it('a unit that goes back while another process of the machine writes the cache is no business of that process', async () => {
  const { api, startWith, start, on_unit_revert } = await startMachine()
  const second = documentOf(member('a', 2), member('b', 2, FAIL))
  const app = await startWith({ breaker_failures: 3 }, documentOf(member('a', 1), member('b', 1)), second)
  await app.askMany(5)
  await vi.waitFor(() => expect(on_unit_revert).toHaveBeenCalledTimes(1))
  api.serve(second)
  const other = await start({ breaker_failures: 0 })
  expect(other.states()).toEqual(['a: live', 'b: live'])
  expect(app.states()).toEqual(['a: last_good', 'b: last_good'])
})
