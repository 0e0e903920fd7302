import { describe, expect, test } from 'vitest'
import type { Phase } from '../../../lib/index.ts'
import { type PluginFields, startApp } from '../../fixtures/app.ts'

const AREAS = ['a', 'b', 'c', 'd', 'e', 'f']

/** Plugins of one phase, each for a path of its own, that say on the response that they ran. */
const forAreas = (phase: Phase, code = ''): PluginFields[] =>
  AREAS.map((area) => ({
    name: `${phase} ${area}`,
    phase,
    when: { paths: [`/${area}`] },
    code: `${code}; ctx.append('X-Ran', '${phase} ${area}')`,
  }))

const everywhere = (phase: Phase, name: string): PluginFields => ({
  name,
  phase,
  code: `ctx.append('X-Ran', '${name}')`,
})

describe('where many plugins are for a path each', () => {
  test('those of the path run, and those for any, in their order, in every phase', async () => {
    const phases: readonly Phase[] = ['rewrite', 'access', 'content', 'balancer', 'header_filter']
    const plugins = phases.flatMap((phase) => [
      everywhere(phase, `${phase} first`),
      ...forAreas(phase),
      everywhere(phase, `${phase} last`),
    ])
    const { request } = await startApp({ plugins })
    const ran = async (path: string) => (await request.get(path).expect(200)).headers['x-ran']
    const expected = (area?: string) =>
      phases
        .flatMap((phase) => [`${phase} first`, ...(area === undefined ? [] : [`${phase} ${area}`]), `${phase} last`])
        .join(', ')
    expect(await ran('/c')).toBe(expected('c'))
    expect(await ran('/C/?x=1')).toBe(expected('c'))
    expect(await ran('/nowhere')).toBe(expected())
    expect(await ran('/a')).toBe(expected('a'))
  })

  test('a plugin that changes the path decides which are next', async () => {
    const move: PluginFields = { name: 'move', phase: 'rewrite', code: `if (ctx.path === '/b') ctx.path = '/e'` }
    const [a, b, c, ...rest] = forAreas('rewrite')
    const plugins = [a, b, move, c, ...rest] as PluginFields[]
    const { request } = await startApp({ plugins })
    await request.get('/b').expect('X-Ran', 'rewrite b, rewrite e')
    await request.get('/c').expect('X-Ran', 'rewrite c')
  })

  test('plugins that wait are followed by those that are next', async () => {
    const plugins = [...forAreas('access', 'await null'), ...forAreas('access'), everywhere('access', 'last')]
    const { request } = await startApp({
      plugins: plugins.map((plugin, order) => ({ ...plugin, name: `${order} ${plugin.name}` })),
    })
    await request.get('/d').expect('X-Ran', 'access d, access d, last')
  })

  test('one that ends the request is the last one', async () => {
    const plugins = [...forAreas('access', `exit(403, 'no')`), everywhere('access', 'last')]
    const { request } = await startApp({ plugins })
    const refused = await request.get('/f').expect(403, 'no')
    expect(refused.headers['x-ran']).toBeUndefined()
    await request.get('/g').expect(200).expect('X-Ran', 'last')
  })

  test('bodies and logs are for those of the path alone', async () => {
    const log: string[] = []
    const plugins = AREAS.flatMap((area): PluginFields[] => [
      { name: `body ${area}`, phase: 'body_filter', when: { paths: `/${area}` }, code: `return chunk + '${area}'` },
      { name: `log ${area}`, phase: 'log', when: { paths: `/${area}` }, code: `await null; told.push('${area}')` },
      { name: `log again ${area}`, phase: 'log', when: { paths: `/${area}` }, code: `told.push('${area} again')` },
    ])
    const { request } = await startApp({ plugins, inner: 'app', options: { globals: { told: log } } })
    await request.get('/b').expect(200, 'appb')
    await request.get('/x').expect(200, 'app')
    await expect.poll(() => log).toEqual(['b', 'b again'])
  })
})
