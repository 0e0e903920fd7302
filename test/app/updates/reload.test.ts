import { setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import { describe, expect, onTestFinished, test } from 'vitest'
import { dynacode } from '../../../lib/dynacode.ts'
import type { Update } from '../../../lib/events/table.ts'
import { serveBehind } from '../../fixtures/app.ts'
import { tries } from '../../fixtures/tries.ts'

const COUNT = 400

/** A document of many domains; two plugins for every host say its version, and none else. */
function documentOf(version: number, codeOf: (index: number) => number = () => version) {
  const everywhere = ['access', 'header_filter'].map((phase) => ({
    name: phase,
    phase,
    code: `ctx.append('X-Version', '${version}')`,
  }))
  const others = Array.from({ length: COUNT }, (_, index) => ({
    name: `${index}.com`,
    plugins: [
      { name: 'p', phase: 'access', code: `say(${index}, ${codeOf(index)}); ${'if (params.a) exit(403);'.repeat(20)}` },
    ],
  }))
  return { general: { version }, domains: [...others, { name: '*', plugins: everywhere }] }
}

function create(first: object) {
  const served = { document: first }
  const fetch = async () => ({ bytes: Buffer.from(JSON.stringify(served.document)), tag: undefined })
  const dyna = dynacode({ source: { fetch }, plugin_api_polling_interval: 3600 })
  onTestFinished(() => dyna.close())
  return { dyna, serve: (next: object) => void Object.assign(served, { document: next }) }
}

describe('a reload of many plugins', () => {
  test('shows requests the program before or the one after, and no other', async () => {
    const { dyna, serve } = create(documentOf(1))
    await dyna.ready()
    await dyna.refresh()
    const agent = await serveBehind(dyna)
    serve(documentOf(2))
    let over = false
    const reload = dyna.refresh().finally(() => {
      over = true
    })
    const seen: unknown[] = []
    while (!over) seen.push((await agent.get('/')).headers['x-version'])
    expect(await reload).toMatchObject({ updated: true, compiled: COUNT + 2, removed: 0, failed: 0 })
    seen.push((await agent.get('/')).headers['x-version'])
    expect(new Set(seen)).toEqual(new Set(['1, 1', '2, 2']))
    expect(seen.length).toBeGreaterThan(3)
  })

  test('compiles what changed, and takes over the rest', async () => {
    const { dyna, serve } = create(documentOf(1))
    await dyna.ready()
    await dyna.refresh()
    const counts = async (next: object) => {
      serve(next)
      const { compiled, reused, removed, failed, plugins } = (await dyna.refresh()) as unknown as Update
      return { compiled, reused, removed, failed, plugins }
    }
    const all = COUNT + 2
    const changed = documentOf(1, (index) => (index === 200 ? 7 : 1))
    expect(await counts(changed)).toEqual({ compiled: 1, reused: all - 1, removed: 0, failed: 0, plugins: all })
    const fewer = { ...changed, domains: changed.domains.toSpliced(100, 1) }
    expect(await counts(fewer)).toEqual({ compiled: 0, reused: all - 1, removed: 1, failed: 0, plugins: all - 1 })
    const broken = {
      ...changed,
      domains: changed.domains.with(50, { name: '50.com', plugins: [{ name: 'p', phase: 'access', code: '(' }] }),
    }
    expect(await counts(broken)).toEqual({ compiled: 0, reused: all - 1, removed: 0, failed: 1, plugins: all })
    expect(
      dyna
        .status()
        .plugins.filter(({ state }) => state === 'last_good')
        .map(({ domain }) => domain),
    ).toEqual(['50.com'])
    // The fault is still there, and so is what is said of it.
    expect(await counts({ ...broken, general: { version: 9 } })).toMatchObject({ compiled: 0, failed: 1, plugins: all })
  })

  test('comes to the same as a first load of the same, whatever was live before', async () => {
    const code = (index: number, version: number) => `ctx.append('X-Seen', '${index} ${version}'); ${';'.repeat(600)}`
    const shared = (id: number, version: number) => ({ id, name: `s${id}`, phase: 'access', code: code(id, version) })
    const entry = fc.oneof(
      fc.constantFrom<unknown>(1, 2, { id: 2, phase: 'header_filter' }),
      fc.nat(3).map((version) => ({ name: 'p', phase: 'access', code: code(0, version) })),
      fc.constant<unknown>({ name: 'q', phase: 'access', code: '(' }),
    )
    const domains = fc.array(fc.array(entry, { minLength: 1, maxLength: 2 }), { minLength: 100, maxLength: 110 })
    const change = fc.oneof(
      fc.tuple(fc.nat(99), fc.array(entry, { maxLength: 2 })).map(([at, plugins]) => ({ at, plugins })),
      fc.tuple(fc.constantFrom(1, 2), fc.nat(3)).map(([id, version]) => ({ id, version })),
      fc.nat(99).map((moved) => ({ moved })),
    )
    await fc.assert(
      fc.asyncProperty(domains, fc.array(change, { minLength: 1, maxLength: 4 }), async (first, changes) => {
        let listed = first.map((plugins, index) => ({ name: `${index}.com`, plugins: plugins as unknown[] }))
        let plugins = [shared(1, 0), shared(2, 0)]
        const { dyna, serve } = create({ domains: listed, plugins })
        await dyna.ready()
        await dyna.refresh()
        for (const each of changes) {
          if ('at' in each)
            listed = listed.with(each.at, { name: `${each.at}.com`, plugins: each.plugins as unknown[] })
          else if ('id' in each) plugins = plugins.with(each.id - 1, shared(each.id, each.version))
          else listed = [...listed.slice(each.moved), ...listed.slice(0, each.moved)]
          serve({ domains: listed, plugins })
          await dyna.refresh()
        }
        // A plugin that was never right has no earlier version here or there.
        const usable = listed.map(({ name, plugins }) => ({
          name,
          plugins: plugins.filter((plugin) => (plugin as { code?: string }).code !== '('),
        }))
        const fresh = create({ domains: usable, plugins })
        await fresh.dyna.ready()
        const [agent, other] = [await serveBehind(dyna), await serveBehind(fresh.dyna)]
        for (let index = 0; index < 100; index += 7) {
          const seen = (await agent.get('/').set('Host', `${index}.com`)).headers['x-seen']
          expect([index, seen]).toEqual([index, (await other.get('/').set('Host', `${index}.com`)).headers['x-seen']])
        }
        await Promise.all([dyna.close(), fresh.dyna.close()])
      }),
      tries(10),
    )
  })

  test.each([0, 1, 2, 3, 5, 8, 13, 21, 34, 55])('is given up when close() comes %i ms into it', async (delay_ms) => {
    const { dyna, serve } = create({ domains: [] })
    await dyna.ready()
    const heard: string[] = []
    serve(documentOf(2))
    const reload = dyna.refresh()
    await sleep(delay_ms)
    const before = dyna.status()
    void dyna.close()
    for (const name of ['bg_updated_plugins', 'bg_compile_success', 'on_error'] as const) {
      dyna.events.on(name, () => heard.push(name))
    }
    const result = await reload
    if (!result.updated) expect(result.reason).toBe('closed')
    await sleep(5)
    expect(heard).toEqual([])
    // Nothing goes live after it.
    expect(dyna.status().version).toBe(before.version)
  })
})
