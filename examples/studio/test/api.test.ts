import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import supertest, { type Test } from 'supertest'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { importSet, openSet } from './change-sets.ts'
import { databases } from './databases.ts'
import { createVisitor, type Running, runStudio } from './visitors.ts'

const PASSWORD = 'correct horse battery'
const CORS = { name: 'cors', phase: 'header_filter', fields: { code: "ctx.set('Access-Control-Allow-Origin', '*')" } }

describe.each(databases)('the API on $name', ({ options }) => {
  let running: Running
  let server: Server

  beforeAll(async () => {
    running = await runStudio({ database: await options() })
    server = running.server
  })
  afterAll(() => running.close())

  const ada = createVisitor(() => server)
  const bob = createVisitor(() => server)

  test('is closed to who is not signed in, but for the document', async () => {
    for (const path of ['/api/session', '/api/plugins', '/api/sets', '/api/versions', '/api/audit', '/api/accounts']) {
      await supertest(server).get(path).expect(401)
    }
    await supertest(server).post('/api/sets/1/publish').send({ message: 'x', base: 0, revision: 1 }).expect(401)
    await supertest(server)
      .get('/plugins.json')
      .expect(200, { general: { version: 0 }, domains: [] })
  })

  test('has no password to begin with: the first account comes by a link that works once', async () => {
    const account = { invitation: running.studio.invitation, name: 'Ada', password: PASSWORD }
    await supertest(server).post('/api/session').send({ name: 'admin', password: 'admin' }).expect(401)
    await supertest(server)
      .post('/api/accounts')
      .send({ ...account, password: 'short' })
      .expect(422, /12 to 200 characters/)
    await ada.sign('/api/accounts', account)
    await ada.get('/api/session').expect(200, /"name":"Ada","role":"publisher"/)
    const again = { ...account, name: 'Eve' }
    await supertest(server).post('/api/accounts').send(again).expect(410)
  })

  test('takes nothing from a page that does not know the session’s token', async () => {
    await ada
      .post('/api/sets/new/domains', { name: 'x' })
      .set('X-CSRF-Token', 'guessed')
      .expect(403, /X-CSRF-Token/)
    await ada
      .post('/api/sets/new/domains', undefined as never)
      .type('form')
      .send({ name: 'x' })
      .expect(415)
  })

  test('invites others, who may do what their role says', async () => {
    const { body } = await ada.post('/api/invitations', { role: 'author' }).expect(201)
    await bob.sign('/api/accounts', { invitation: body.secret, name: 'bob', password: PASSWORD })
    await bob
      .post('/api/sets/1/publish', { message: 'x', base: 0, revision: 1 })
      .expect(403, /this is for publishers, and bob is an author/)
    await bob.get('/api/accounts').expect(403)
  })

  test('brings a plugin from its first change to the document', async () => {
    const { body: begun } = await bob.post('/api/sets/new/domains', { name: '^shop' }).expect(201)
    const [mine, hers] = [openSet(bob, begun.set), openSet(ada, begun.set)]
    await mine.addDomain('^shop').expect(409)
    await mine.add('^shop', CORS).expect(201)
    await mine.add('^shop', CORS).expect(409, /already has a plugin cors/)
    const before = await mine.find('^shop', CORS)
    const broken = { ...CORS, fields: { code: 'ctx.set(' } }
    expect((await mine.save('^shop', broken)).status).toBe(200)
    const saved = await mine.find('^shop', CORS)
    expect(await hers.review()).toMatchObject({ base: 0, findings: [{ rule: 'compile', plugin: 'cors', line: 1 }] })
    expect((await hers.publish('cors')).body).toMatchObject({ status: 422, findings: [{ rule: 'compile' }] })

    // The form still has what was there before.
    const put = (revision: string) =>
      bob.put(`${mine.path}/plugins`, {
        key: { domain: '^shop', name: 'cors', phase: 'header_filter' },
        plugin: CORS,
        revision,
      })
    const late = await put(before.revision).expect(409)
    expect(late.body.current).toMatchObject({ revision: saved.revision, fields: broken.fields })
    await put(saved.revision).expect(200)
    expect((await hers.publish('')).body.title).toMatch(/expected a message/)
    expect((await hers.publish('cors')).body).toEqual({ version: 1 })
    await supertest(server)
      .get('/plugins.json')
      .expect(({ body }) => {
        expect(body.domains).toEqual([
          { name: '^shop', plugins: [{ name: 'cors', phase: 'header_filter', ...CORS.fields }] },
        ])
      })
  })

  test('switches off and back, and rolls back', async () => {
    await ada.post('/api/switch', { plugin: 'cors', on: false }).expect(422, /domain of the plugin/)
    await ada.post('/api/switch', { domain: '^shop', plugin: 'none', on: false }).expect(404)
    await ada.post('/api/switch', { domain: '^shop', plugin: 'cors', on: false }).expect(201, { version: 2 })
    await ada.post('/api/versions/1/rollback', {}).expect(201, { version: 3 })
    await ada.get('/api/versions/2/changes/3').expect(200, /enabled: false → true/)
    const { body: versions } = await ada.get('/api/versions').expect(200)
    expect(versions).toMatchObject([{ version: 3, kind: 'rollback' }, { kind: 'switch' }, { created_by: 'Ada' }])
    await ada.post('/api/versions/99/rollback', {}).expect(404)
  })

  test('gives programs tokens, and takes them back', async () => {
    const { body: token } = await ada.post('/api/tokens', { name: 'ci', role: 'author' }).expect(201)
    const asCi = (test: Test) => test.set('Authorization', `Bearer ${token.secret}`)
    await asCi(supertest(server).post('/api/sets/new/domains')).send({ name: 'ci.example' }).expect(201)
    await asCi(supertest(server).post('/api/sets/1/publish')).send({ message: 'x', base: 3, revision: 1 }).expect(403)
    const { body: tokens } = await ada.get('/api/tokens').expect(200)
    expect(JSON.stringify(tokens)).not.toContain(token.secret)
    await ada.delete(`/api/tokens/${token.id}`).expect(204)
    await asCi(supertest(server).get('/api/domains')).expect(401)
  })

  // Each is a process.
  test('tries requests out in a process that cannot harm the studio', { timeout: 180_000 }, async () => {
    const request = { url: 'http://shop.example.com/' }
    const { body: ran } = await bob.post('/api/try', { source: 'live', request }).expect(200)
    expect(ran.plugins).toMatchObject([{ plugin: 'cors', outcome: 'ran' }])
    const own = (code: string) => ({
      source: 'document',
      request,
      document: { domains: [{ name: '*', plugins: [{ name: 'a', phase: 'content', code }] }] },
    })
    const { body: said } = await bob.post('/api/try', own('say(Object.keys(process.env).join())')).expect(200)
    expect(said.response.body).toBe('\n')
    const read = "say(process.getBuiltinModule('node:fs').readFileSync('/etc/hostname', 'utf8'))"
    const { body: refused } = await bob.post('/api/try', own(read)).expect(200)
    expect(refused.plugins[0]).toMatchObject({ outcome: 'failed', reason: expect.stringMatching(/restricted/) })
    for (const code of ['process.kill(process.ppid)', 'process._debugProcess(process.ppid)']) {
      const { body: held } = await bob.post('/api/try', own(code)).expect(200)
      expect(held.plugins[0]).toMatchObject({ outcome: 'failed', reason: expect.stringMatching(/is not a function/) })
    }
    const flood = "setInterval(() => process.stdout.write('x'.repeat(1e6)), 0); await new Promise(() => {})"
    await bob.post('/api/try', own(flood)).expect(422, /too much output/)
    await bob.post('/api/try', own('process.exit(3)')).expect(422, /could not be tried/)
    await bob.post('/api/try', { source: 'live', request: { url: 'shop' } }).expect(422, /expected a URL/)
    await bob.post('/api/try', { source: 'set', request }).expect(422, /number of a change set/)
    await bob.post('/api/try', { source: 'document', request }).expect(422, /expected a document/)
  })

  test('answers what plugins fetch that are tried', { timeout: 180_000 }, async () => {
    const code = "say((await fetch('http://shop.example.com/')).status)"
    const document = { domains: [{ name: '*', plugins: [{ name: 'a', phase: 'content', code }] }] }
    const given = { source: 'document', request: { url: 'http://shop.example.com/' }, document }
    const { body: held } = await bob.post('/api/try', given).expect(200)
    expect(held.plugins[0]).toMatchObject({ outcome: 'failed', reason: expect.stringContaining('nothing is sent') })
    const answers = [{ url: 'http://shop.example.com/', status: 418 }]
    const { body: told } = await bob.post('/api/try', { ...given, answers }).expect(200)
    expect(told.response.body).toBe('418\n')
    await bob.post('/api/try', { ...given, answers: [{ url: 'shop' }] }).expect(422, /answers.0.url/)
  })

  test('knows the instances that report', async () => {
    const report = (sequence: number, version: number) => ({
      format: 1,
      instance: 'one',
      sequence,
      host: 'web-1',
      pid: 7,
      closing: false,
      active: { version },
      counters: { plugins: [{ domain: '*', name: 'x', phase: 'log', shadow_runs: version, shadow_exits: 1 }] },
    })
    await bob.post('/api/reports', report(2, 5)).expect(204)
    await bob.post('/api/reports', report(1, 4)).expect(204)
    await bob.post('/api/reports', { format: 2 }).expect(422)
    const processes = async () => (await bob.get('/api/fleet').expect(200)).body.processes
    await expect.poll(processes).toMatchObject([{ id: 'one', host: 'web-1', pid: 7, version: 5 }])
    const { body: last } = await bob.get('/api/fleet/processes/one').expect(200)
    expect(last.report).toMatchObject({ sequence: 2, active: { version: 5 } })
    await bob.get('/api/fleet/processes/two').expect(404)
    const { body: shadow } = await bob.get('/api/shadow?plugin=x').expect(200)
    expect(shadow).toMatchObject([{ plugin: 'x', runs: 5, exits: 1, instances: [{ id: 'one', runs: 5 }] }])
  })

  test('tells pages that are open what happens', async () => {
    const { port } = server.address() as AddressInfo
    const { body: session } = await ada.get('/api/session').expect(200)
    const { body: token } = await ada.post('/api/tokens', { name: 'watch', role: 'viewer' }).expect(201)
    expect(session.name).toBe('Ada')
    const ending = new AbortController()
    const headers = { authorization: `Bearer ${token.secret}` }
    const response = await fetch(`http://127.0.0.1:${port}/api/events`, { headers, signal: ending.signal })
    const reader = (response.body as ReadableStream<Uint8Array>).getReader()
    let seen = ''
    const reading = (async () => {
      while (!seen.includes('event: change')) seen += Buffer.from((await reader.read()).value ?? []).toString()
    })()
    const { body: told } = await bob.post('/api/sets/new/domains', { name: 'told.example' }).expect(201)
    await reading
    expect(seen).toContain(`data: "${told.set}"`)
    ending.abort()
  })

  test('takes a whole document for a change set, and gives it out again', async () => {
    const document = {
      general: { skip_domains: ['health.local'], version: 9 },
      domains: [
        { name: 'a.com', plugins: [1, { name: 'own', phase: 'log', code: '1' }] },
        { name: 'b.com', plugins: [{ id: 1, params: { limit: 5 } }] },
      ],
      plugins: [{ id: 1, name: 'shared', phase: 'access', code: 'exit(403)', params: { limit: 1, all: true } }],
    }
    const { id } = await importSet(bob, document)
    const { body: exported } = await bob.get(`/api/export?set=${id}`).expect(200)
    const shared = { name: 'shared', phase: 'access', code: 'exit(403)' }
    expect(exported).toEqual({
      general: { skip_domains: ['health.local'] },
      domains: [
        {
          name: 'a.com',
          plugins: [
            { ...shared, params: { limit: 1, all: true } },
            { name: 'own', phase: 'log', code: '1' },
          ],
        },
        { name: 'b.com', plugins: [{ ...shared, params: { limit: 5, all: true } }] },
      ],
    })
    const broken = { domains: [{ name: 'a.com', plugins: [7] }] }
    await bob.post('/api/import', { document: broken }).expect(422, /domains\.0\.plugins\.0/)
  })

  test('keeps one publisher, and shuts out whom it switches off', async () => {
    const { body: accounts } = await ada.get('/api/accounts').expect(200)
    const [first, second] = accounts
    await ada.patch(`/api/accounts/${first.id}`, { role: 'viewer' }).expect(409, /the only publisher/)
    await ada.patch(`/api/accounts/${second.id}`, { active: false }).expect(200)
    await bob.get('/api/session').expect(401)
    await supertest(server).post('/api/session').send({ name: 'bob', password: PASSWORD }).expect(401)
  })

  test('writes down who did what, and no secret', async () => {
    const { text, body } = await ada.get('/api/audit?limit=200').expect(200)
    const actions = body.map(({ actor, action }: { actor: string; action: string }) => `${actor}: ${action}`)
    expect(actions).toEqual(expect.arrayContaining(['Ada: publish', 'bob: save plugin', 'token ci: add domain']))
    expect(text).not.toMatch(/argon2|dynastudio_|battery/)
  })

  test('slows down who guesses', async () => {
    const statuses: number[] = []
    for (let tries = 0; tries < 11; tries += 1) {
      const { status } = await supertest(server).post('/api/session').send({ name: 'carol', password: 'wrong' })
      statuses.push(status)
    }
    expect(statuses.slice(0, 10)).toEqual(Array(10).fill(401))
    expect(statuses[10]).toBe(429)
  })

  test.each([
    ['no JSON', (test: Test) => test.set('Content-Type', 'application/json').send('{'), 400, /not valid JSON/],
    ['an array', (test: Test) => test.send([]), 422, /the request/],
    ['another type', (test: Test) => test.send({ name: 1 }), 422, /name/],
    ['nothing', (test: Test) => test, 422, /the request/],
  ])('says of %s what is wrong with it', async (_, send, status, message) => {
    const response = await send(ada.post('/api/sets/new/domains', undefined as never)).expect(status)
    expect(response.headers['content-type']).toMatch(/^application\/problem\+json/)
    expect(response.body.title).toMatch(message)
    expect(running.failures).toEqual([])
  })

  test('says nothing of a folder in git where there is none', async () => {
    await ada.get('/api/git').expect(204)
    await ada.post('/api/git/sync', {}).expect(404)
  })

  test('describes itself', async () => {
    const { body } = await supertest(server).get('/api/openapi.json').expect(200)
    expect(body.openapi).toBe('3.1.0')
    expect(body.paths['/api/sets/{set}/plugins'].put.requestBody.content['application/json'].schema.required).toContain(
      'revision',
    )
    await supertest(server).get('/api/none').expect(404)
  })

  test('signs out', async () => {
    await ada.delete('/api/session').expect(204)
    await ada.get('/api/session').expect(401)
  })
})
