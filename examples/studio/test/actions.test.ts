import { plugin_app } from 'dynacode/testing'
import supertest from 'supertest'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createRecipes } from '../server/actions/recipes.ts'
import { IN_MEMORY } from './databases.ts'
import { createVisitor, type Running, runStudio } from './visitors.ts'

const PASSWORD = 'correct horse battery'
const recipes = createRecipes()
const find = (kind: string) => recipes.find((recipe) => recipe.kind === kind) as (typeof recipes)[number]
const make = (kind: string, values: Record<string, string>) => {
  const recipe = find(kind)
  return recipe.make(recipe.schema.parse(values))
}

/** An app with what an action makes. */
async function start(kind: string, values: Record<string, string>) {
  const { name, phase, fields } = make(kind, values)
  const app = await plugin_app({ domains: [{ name: '*', plugins: [{ name, phase, ...fields }] }] } as never)
  app.proxy = true
  const get = (path: string, ip = '198.51.100.1') =>
    supertest(app.callback()).get(path).set({ Host: 'shop.example.com', 'X-Forwarded-For': ip })
  return { app, get }
}

describe('what the actions make', () => {
  test('an address is blocked, or a range', async () => {
    const { get } = await start('block-address', { address: ' 192.0.2.7 ' })
    await get('/', '192.0.2.7').expect(403)
    await get('/', '192.0.2.8').expect(200)
    const range = await start('block-address', { address: '2001:db8::/48' })
    await range.get('/', '2001:db8::1').expect(403)
  })

  test('a path is refused, and what is below it', async () => {
    const { get } = await start('refuse-path', { path: '/admin/' })
    await get('/admin').expect(403)
    await get('/admin/users').expect(403)
    await get('/administrators').expect(200)
    const all = await start('refuse-path', { path: '/' })
    await all.get('/').expect(403)
    await all.get('/anything/else').expect(403)
  })

  test('a maintenance page is for all but one network', async () => {
    const { get } = await start('maintenance', { but: '10.0.0.0/8' })
    await get('/').expect(503).expect('Retry-After', '600')
    await get('/', '10.1.2.3').expect(200)
    await (await start('maintenance', { but: '' })).get('/', '10.1.2.3').expect(503)
  })

  test('a redirect stays on the host', async () => {
    const { get } = await start('redirect', { from: '/old', to: '/new' })
    await get('/old/a?b=c').expect(308).expect('Location', '/new/a?b=c')
    await get('/old//evil.example.com')
      .expect(308)
      .expect('Location', /^\/new\//)
  })

  test('a header is set', async () => {
    const { get } = await start('add-header', { name: 'X-Robots-Tag', value: 'noindex' })
    await get('/').expect('X-Robots-Tag', 'noindex')
  })

  test('a share of the requests fails, or waits', async () => {
    const { get } = await start('fail', { percent: '100' })
    await get('/').expect(500)
    const { app, get: ask } = await start('delay', { percent: '100', delay_ms: '20' })
    await ask('/').expect(200)
    expect(app.events_of('rt_plugins_error')).toEqual([])
  })

  test.each([
    ['block-address', { address: 'everybody' }],
    ['block-address', { address: '192.0.2.7/33' }],
    ['block-address', { address: '192.0.2.7, 192.0.2.8' }],
    ['refuse-path', { path: 'admin' }],
    ['refuse-path', { path: '/*all' }],
    ['redirect', { from: '/a', to: '/a/b' }],
    ['redirect', { from: '/a', to: 'https://evil.example.com' }],
    ['redirect', { from: '/', to: '/b' }],
    ['add-header', { name: 'X-A\r\nX-B', value: 'c' }],
    ['add-header', { name: 'Set-Cookie', value: 'a=b' }],
    ['add-header', { name: 'X-A', value: 'b\nX-C: d' }],
    ['fail', { percent: '101' }],
    ['fail', { percent: 'all' }],
    ['delay', { percent: '1', delay_ms: '60000' }],
  ])('%s refuses %j', (kind, values) => {
    expect(find(kind).schema.safeParse(values).success).toBe(false)
  })

  test('what is filled in is never in the code', () => {
    const codes = (values: Record<string, string>) =>
      recipes.map((recipe) => {
        const given = Object.fromEntries(recipe.inputs.map(({ name }) => [name, values[name] ?? '']))
        return recipe.make(recipe.schema.parse(given)).fields.code
      })
    const one = {
      address: '192.0.2.7',
      path: '/a',
      from: '/b',
      to: '/c',
      name: 'X-A',
      value: 'd',
      percent: '1',
      delay_ms: '2',
    }
    const other = {
      address: '::1',
      path: '/e',
      from: '/f',
      to: '/g',
      name: 'X-H',
      value: '`;',
      percent: '3',
      delay_ms: '4',
    }
    expect(codes(one)).toEqual(codes(other))
  })
})

describe('actions of a studio', () => {
  let running: Running
  const ada = createVisitor(() => running.server)
  const bob = createVisitor(() => running.server)
  beforeAll(async () => {
    running = await runStudio({ database: IN_MEMORY })
    await ada.sign('/api/accounts', { invitation: running.studio.invitation, name: 'Ada', password: PASSWORD })
    const invitation = (await ada.post('/api/invitations', { role: 'author' }).expect(201)).body.secret
    await bob.sign('/api/accounts', { invitation, name: 'Bob', password: PASSWORD })
  })
  afterAll(async () => {
    await running.close()
    expect(running.failures).toEqual([])
  })
  const live = async () => (await ada.get('/plugins.json').expect(200)).body

  test('publish a plugin with an end at once, and another time in its place', async () => {
    const given = { domain: '*', minutes: 60, values: { address: '192.0.2.7' } }
    const before = Date.now()
    await ada.post('/api/actions/block-address', given).expect(201, { version: 1, set: null })
    const [domain] = (await live()).domains
    expect(domain.plugins).toMatchObject([
      { name: 'block 192.0.2.7', when: { ips: '192.0.2.7' }, on_failure: 'closed' },
    ])
    const left = Date.parse(domain.plugins[0].expires_at) - before
    expect(Math.round(left / 60_000)).toBe(60)
    await ada.post('/api/actions/block-address', { ...given, minutes: 120 }).expect(201, { version: 2, set: null })
    expect((await live()).domains[0].plugins).toHaveLength(1)
    await ada.get('/api/versions').expect(/block 192\.0\.2\.7 for all hosts until/)
  })

  test('leave alone what else is live', async () => {
    const given = { domain: 'shop.example.com', minutes: 15, values: { path: '/admin' } }
    await ada.post('/api/actions/refuse-path', given).expect(201, { version: 3, set: null })
    expect((await live()).domains.map(({ name }: { name: string }) => name)).toEqual(['*', 'shop.example.com'])
  })

  test('name all wrong fields at once', async () => {
    const given = { domain: '*', minutes: 60, values: { from: 'a', to: 'b' } }
    const { body } = await ada.post('/api/actions/redirect', given).expect(422)
    expect(Object.keys(body.fields).sort()).toEqual(['values.from', 'values.to'])
    const { body: other } = await ada.post('/api/actions/fail', { domain: '', minutes: 0, values: {} }).expect(422)
    expect(Object.keys(other.fields).sort()).toEqual(['domain', 'minutes'])
    await ada.post('/api/actions/nothing', { ...given, values: {} }).expect(404)
  })

  test('of an author are proposals', async () => {
    const given = { domain: '*', minutes: 60, values: { address: '192.0.2.9' } }
    const { body } = await bob.post('/api/actions/block-address', given).expect(201)
    expect(body.version).toBe(null)
    expect(JSON.stringify(await live())).not.toContain('192.0.2.9')
    await ada.get('/api/audit').expect(/"action":"propose"/)
  })

  test('of the team’s own are made of a plugin that is live, with other parameters', async () => {
    const given = { domain: '*', minutes: 60, values: { name: 'X-A', value: '1' } }
    await ada.post('/api/actions/add-header', given).expect(201)
    const place = { domain: '*', name: 'header X-A', phase: 'header_filter' }
    const { id } = (await ada.post('/api/action-templates', { title: 'Our header', ...place }).expect(201)).body
    const { body } = await ada.get('/api/actions').expect(200)
    expect(body.at(-1)).toMatchObject({
      kind: `template-${id}`,
      title: 'Our header',
      inputs: [
        { name: 'name', value: 'X-A' },
        { name: 'value', value: '1' },
      ],
    })
    await ada
      .post(`/api/actions/template-${id}`, { domain: 'b.example.com', minutes: 5, values: { value: '2' } })
      .expect(201)
    const made = (await live()).domains.find(({ name }: { name: string }) => name === 'b.example.com')
    expect(made.plugins).toMatchObject([{ name: 'header X-A', params: { name: 'X-A', value: '2' } }])
    await bob.delete(`/api/action-templates/${id}`).expect(403)
    await ada.delete(`/api/action-templates/${id}`).expect(204)
    await ada.post('/api/action-templates', { title: 'x', ...place, name: 'nothing' }).expect(404)
  })
})
