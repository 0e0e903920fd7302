import type { Server } from 'node:http'
import fc from 'fast-check'
import supertest from 'supertest'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { beginSet } from '../change-sets.ts'
import { IN_MEMORY } from '../databases.ts'
import { createVisitor, type Running, runStudio } from '../visitors.ts'

const PASSWORD = 'correct horse battery'
const PAGES_OF_FLEET = ['/api/fleet', '/api/fleet?kind=gone', '/api/fleet/plugins', '/api/fleet/chart', '/api/shadow']

describe('requests', () => {
  let running: Running
  let server: Server
  const ada = createVisitor(() => server)
  beforeAll(async () => {
    running = await runStudio({ database: IN_MEMORY })
    server = running.server
    await ada.sign('/api/accounts', { invitation: running.studio.invitation, name: 'Ada', password: PASSWORD })
  })
  afterAll(async () => {
    await running.close()
    expect(running.failures).toEqual([])
  })

  const makeReporter = async (name: string) => {
    const { body } = await ada.post('/api/tokens', { name, role: 'reporter' }).expect(201)
    return (report: object) =>
      supertest(server).post('/api/reports').set('Authorization', `Bearer ${body.secret}`).send(report)
  }
  const report = (instance: string, sequence: number, more: object = {}) => ({
    format: 1,
    instance,
    sequence,
    host: 'web-1',
    pid: 7,
    closing: false,
    ...more,
  })

  test('G56 reporter | reports | neither overwrites nor freezes what another reports', async ({ task }) => {
    task.meta.attacks = 3
    const [mine, others] = [await makeReporter('mine'), await makeReporter('others')]
    await mine(report('one', 1, { active: { version: 1 } })).expect(204)
    await others(report('one', Number.MAX_SAFE_INTEGER, { active: { version: 99 } })).expect(403, /another token/)
    await others(report('one', 2)).expect(403)
    await mine(report('one', 2, { active: { version: 2 } })).expect(204)
    const { body } = await ada.get('/api/fleet/processes/one').expect(200)
    expect(body).toMatchObject({ id: 'one', report: { active: { version: 2 } } })
  })

  test('G56 reporter | reports | takes no page away by what is in one', async ({ task }) => {
    const send = await makeReporter('odd')
    const huge = { domain: '*', name: 'x', phase: 'log', shadow_runs: Number.MAX_SAFE_INTEGER }
    const odd = [
      { plugins: {} },
      { counters: { plugins: [huge] } },
      {
        counters: {
          plugins: [
            { ...huge, shadow_runs: 1e12 },
            { ...huge, shadow_runs: 1e12 },
          ],
        },
      },
      { counters: { plugins: [{ ...huge, shadow_runs: -1 }] } },
      { counters: { plugins: 'none' } },
      { active: { version: {} } },
      { attempted: { version: 1, verdict: 'nack', error: null, refused: [{}] } },
      { attempted: { version: 1, verdict: 'ack' } },
      { plugins: { notable: [null] } },
      { host: 'a\0b' },
      { name: { toString: 1 } },
      { interval: -1 },
      { last_refresh: {} },
    ]
    task.meta.attacks = odd.length
    for (const [at, more] of odd.entries()) {
      const { status } = await send(report(`odd-${at}`, 1, more))
      expect.soft([204, 422], JSON.stringify(more)).toContain(status)
    }
    for (const page of PAGES_OF_FLEET) await ada.get(page).expect(200)
  })

  test('G56 reporter | reports | takes nobody’s turn by many that are large', { timeout: 120_000 }, async ({
    task,
  }) => {
    const [send, count] = [await makeReporter('large'), 130]
    task.meta.attacks = count
    const plugins = Array.from({ length: 450 }, (_, at) => ({
      domain: 'a.example',
      name: `plugin ${at} ${'x'.repeat(60)}`,
      phase: 'access',
      shadow_runs: 1,
    }))
    const hosts = Array.from({ length: count }, (_, at) => `large-${String(at).padStart(3, '0')}`)
    for (const host of hosts) await send(report(host, 1, { host, counters: { plugins } })).expect(204)
    let is_over = false
    let turns = 0
    const counting = (async () => {
      for (; !is_over; turns += 1) await ada.get('/api/session').expect(200)
    })()
    const found = async () => (await ada.get('/api/fleet?search=large&limit=200').expect(200)).body.processes
    await expect.poll(async () => (await found()).map(({ host }: { host: string }) => host)).toEqual(hosts)
    const { body: last } = await ada.get('/api/fleet/processes/large-000').expect(200)
    expect(last.report).toMatchObject({ pid: 7, sequence: 1, counters: { plugins: { length: 450 } } })
    const { body: shadows } = await ada.get('/api/shadow?domain=a.example').expect(200)
    expect(shadows).toHaveLength(200)
    expect(shadows[0]).toMatchObject({ runs: count, instances: { length: count } })
    is_over = true
    await counting
    // More than the one after each of the three pages.
    expect(turns).toBeGreaterThan(3)
  })

  test('G56 reporter | fuzz | says anything, and all pages go on', { timeout: 120_000 }, async ({ task }) => {
    const send = await makeReporter('fuzz')
    const runs = 60
    task.meta.attacks = runs
    const section = fc.oneof(
      fc.jsonValue({ maxDepth: 4 }),
      fc.record({ plugins: fc.jsonValue(), states: fc.jsonValue() }),
    )
    const fields = fc.dictionary(
      fc.constantFrom(
        'active',
        'attempted',
        'plugins',
        'counters',
        'last_refresh',
        'name',
        'interval',
        'sequence',
        'pid',
      ),
      section,
    )
    await fc.assert(
      fc.asyncProperty(fields, async (more) => {
        expect([204, 422]).toContain((await send(report('fuzz', 1, more))).status)
      }),
      { numRuns: runs, seed: 20 },
    )
    for (const page of PAGES_OF_FLEET) await ada.get(page).expect(200)
  })

  test('G56 author | input | holds nobody up by importing hundreds of thousands of files', {
    timeout: 120_000,
  }, async ({ task }) => {
    task.meta.attacks = 3
    const files = Object.fromEntries(Array.from({ length: 700_000 }, (_, at) => [`${at}.js`, '']))
    const deep = `{"document":${'['.repeat(3_000_000)}`
    const many = JSON.stringify({ document: { domains: [], odd: Array.from({ length: 5_100_000 }, () => 0) } })
    for (const [text, status] of [
      [JSON.stringify({ files }), 422],
      [deep, 400],
      [many, 422],
    ] as const) {
      let is_over = false
      let turns = 0
      const counting = (async () => {
        for (; !is_over; turns += 1) await ada.get('/api/session').expect(200)
      })()
      const sent = ada.send('post', '/api/import/preview').type('json').send(text)
      const { status: got, body } = await sent
      is_over = true
      await counting
      expect.soft(got, JSON.stringify(body).slice(0, 300)).toBe(status)
      expect.soft(turns).toBeGreaterThan(10)
    }
    // What is checked while somebody types is read at once, and may be no larger than a document that somebody writes.
    const wide = { document: { domains: Array.from({ length: 250_000 }, () => 0) } }
    await ada.post('/api/check', wide).expect(422, /more than 200000 values/)
    await ada.post('/api/check', { document: { domains: ['x'.repeat(5_000_000)] } }).expect(413)
  })

  test('G56 author | input | gets a 4xx with the place for whatever is wrong', { timeout: 120_000 }, async ({
    task,
  }) => {
    const { path: set, addDomain } = await beginSet(ada)
    await addDomain('a.example').expect(201)
    let deep: object = {}
    for (let depth = 0; depth < 5000; depth += 1) deep = { a: deep }
    const plugin = (fields: object, name = 'x') => ({ domain: 'a.example', name, phase: 'access', fields })
    const key = { domain: 'a.example', name: 'x', phase: 'access' }
    const wrong: [string, string, object | undefined, number, string?][] = [
      ['get', '/api/sets/2147483648', undefined, 422, 'set'],
      ['get', '/api/sets/99999999999999999999/review', undefined, 422, 'set'],
      ['get', '/api/plugins?set=-1', undefined, 422, 'set'],
      ['get', '/api/plugins?from=4294967296', undefined, 422, 'from'],
      ['get', '/api/plugin?domain=a&name=%00&phase=log', undefined, 422, 'name'],
      ['get', '/api/plugins?search=%00', undefined, 422, 'search'],
      ['get', '/api/plugins?search=a&search=b', undefined, 422, 'search'],
      ['get', '/api/audit?before=1e300', undefined, 422, 'before'],
      ['get', '/api/versions/2147483648', undefined, 422, 'version'],
      ['get', '/api/versions/0/changes/9007199254740993', undefined, 422, 'after'],
      ['get', '/api/export?version=3000000000', undefined, 422, 'version'],
      ['get', '/api/live/plugins?domain=%00', undefined, 422, 'domain'],
      ['post', `${set}/domains`, { name: 'a\0b' }, 422, 'name'],
      ['post', '/api/sets/0/domains', { name: 'b' }, 422, 'set'],
      ['post', `${set}/domains/move`, { domain: 'a.example', before: 2 ** 40 }, 422, 'before'],
      ['put', `${set}/plugins`, { key, plugin: plugin({}), revision: 2 ** 31 }, 422, 'revision'],
      ['post', `${set}/plugins`, plugin({ code: 'a\0' }), 422, 'fields.code'],
      ['post', `${set}/plugins`, plugin(deep), 422],
      ['post', `${set}/plugins`, plugin({ code: '', file: 'x.js' }), 422, 'fields'],
      ['delete', `${set}/changes`, { ...key, kind: 'all' }, 422, 'kind'],
      ['post', `${set}/comments`, { text: 'x'.repeat(5000) }, 422, 'text'],
      ['post', '/api/check', { document: { domains: [], deep } }, 422],
      [
        'post',
        '/api/check',
        { document: { domains: [null, 1, { name: 1 }, { name: 'x', plugins: [null, deep] }] } },
        422,
      ],
      ['post', '/api/try', { source: 2 ** 35, request: { url: 'http://x/' } }, 422],
      ['post', '/api/import', { document: { domains: [{ name: 'x', plugins: [deep] }] } }, 422],
      ['post', '/api/import', { document: { domains: [{ name: 'x\0', plugins: [] }] } }, 422],
      ['post', '/api/import', { files: { 'dynacode.json': '{"domains":'.padEnd(20_000, '[') } }, 422, 'files'],
      ['post', '/api/import', { archive: 'AAAA' }, 422, 'archive'],
      ['post', `${set}/publish`, { message: 'x', base: 2 ** 33, revision: 1 }, 422, 'base'],
      ['post', '/api/switch', { domain: '\0', on: false }, 422, 'domain'],
      ['post', '/api/session', { name: 'a\0', password: 'x' }, 422, 'name'],
      ['post', '/api/session', { name: 'ada', password: '\0' }, 422, 'password'],
      ['post', '/api/tokens', { name: 'x', role: 'viewer', expires_at: '+275760-09-13T00:00:00Z' }, 422, 'expires_at'],
      ['put', `${set}/general`, { fields: deep, revision: '1' }, 422],
      ['get', '/api/sets/%ff', undefined, 422, 'set'],
      ['get', '/api/%00', undefined, 404],
    ]
    task.meta.attacks = wrong.length
    for (const [method, path, body, status, field] of wrong) {
      const response = method === 'get' ? await ada.get(path) : await ada.send(method as 'post', path, body)
      expect.soft(response.status, `${method} ${path}: ${response.text.slice(0, 200)}`).toBe(status)
      if (field !== undefined) expect.soft(Object.keys(response.body.fields ?? {}), path).toContain(field)
    }
  })
})
