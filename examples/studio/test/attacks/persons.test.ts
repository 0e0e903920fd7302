import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import supertest, { type Test } from 'supertest'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { rangeOf } from '../../server/auth/login-limit.ts'
import { beginSet, openSet } from '../change-sets.ts'
import { IN_MEMORY } from '../databases.ts'
import { createVisitor, type Running, runStudio, type Visitor } from '../visitors.ts'

const PASSWORD = 'correct horse battery'

/** A studio for two persons in which Ada is the first publisher. @param wait_ms as `two_persons_wait_ms` */
function useStudio(wait_ms?: number) {
  let running: Running
  let server: Server
  const ada = createVisitor(() => server)
  const someone = () => createVisitor(() => server)
  beforeAll(async () => {
    const wait = wait_ms === undefined ? {} : { two_persons_wait_ms: wait_ms }
    running = await runStudio({ database: IN_MEMORY, two_persons: true, proxy: true, ...wait })
    server = running.server
    await ada.sign('/api/accounts', { invitation: running.studio.invitation, name: 'Ada', password: PASSWORD })
  })
  afterAll(async () => {
    await running.close()
    expect(running.failures).toEqual([])
  })

  async function invite(by: Visitor, name: string, role: string): Promise<Visitor> {
    const { body } = await by.post('/api/invitations', { role }).expect(201)
    const visitor = someone()
    await visitor.sign('/api/accounts', { invitation: body.secret, name, password: PASSWORD })
    return visitor
  }
  const idOf = async (name: string): Promise<number> => {
    const { body } = await ada.get('/api/accounts').expect(200)
    return body.find((account: { name: string }) => account.name === name).id
  }
  let count = 0
  async function propose(visitor: Visitor, how: 'propose' | 'publish' = 'propose'): Promise<number> {
    count += 1
    const set = await beginSet(visitor, `set ${count}`)
    await set.addDomain(`host-${count}.example`).expect(201)
    const plugin = { name: 'p', phase: 'access', fields: { code: `exit(${400 + count})` } }
    await set.add(`host-${count}.example`, plugin).expect(201)
    expect((await set[how]('new')).body).toEqual({ proposal: set.id })
    return set.id
  }
  /** Agrees to what is there now. */
  const approve = (visitor: Visitor, set: number) => openSet(visitor, set).approve()
  const asToken = (secret: string) => (test: Test) => test.set('Authorization', `Bearer ${secret}`)
  const use = (secret: string, body: object = { name: 'Eve', password: PASSWORD }) =>
    supertest(server)
      .post('/api/accounts')
      .send({ invitation: secret, ...body })
  return { server: () => server, ada, someone, invite, idOf, propose, approve, asToken, use }
}

describe('a studio for two persons, on the first day', () => {
  const { ada, someone, invite, idOf, propose, approve, use } = useStudio()

  test('G55 publisher | two persons | cannot agree as an account that the same person has just made', async () => {
    const bob = await invite(ada, 'Bob', 'publisher')
    const proposal = await propose(ada, 'publish')
    expect((await approve(ada, proposal)).body).toMatchObject({ status: 403, title: expect.stringMatching(/your own/) })
    expect((await approve(bob, proposal)).body).toMatchObject({
      status: 403,
      title: expect.stringMatching(/made a publisher by the person who proposes this/),
    })
    // Nor by an account that this one makes.
    const { body } = await bob.post('/api/invitations', { role: 'publisher' }).expect(201)
    expect(body.needs_second).toBe(true)
    const [link] = (await ada.get('/api/invitations').expect(200)).body
    await ada.post(`/api/invitations/${link.id}/confirm`, {}).expect(204)
    const carol = someone()
    await carol.sign('/api/accounts', { invitation: body.secret, name: 'Carol', password: PASSWORD })
    expect((await approve(carol, proposal)).body).toMatchObject({
      status: 403,
      title: expect.stringMatching(/made a publisher/),
    })
    await ada.delete(`/api/sets/${proposal}/proposal`).expect(204)
  })

  test('G55 publisher | two persons | cannot agree to links as an account that the same person has just made', async ({
    task,
  }) => {
    task.meta.attacks = 4
    const bob = someone()
    await bob.sign('/api/session', { name: 'Bob', password: PASSWORD })
    await invite(ada, 'Ann', 'author')
    const { body: link } = await ada.post(`/api/accounts/${await idOf('Carol')}/password-link`, {}).expect(201)
    const { body: invited } = await ada.post('/api/invitations', { role: 'publisher' }).expect(201)
    await ada.patch(`/api/accounts/${await idOf('Ann')}`, { role: 'publisher' }).expect(200, /"waits":true/)
    const links = (await ada.get('/api/invitations').expect(200)).body
    expect(links).toHaveLength(3)
    for (const { id } of links) await bob.post(`/api/invitations/${id}/confirm`, {}).expect(403, /two persons/)
    await use(link.secret, { password: 'taken over entirely' }).expect(409)
    await use(invited.secret).expect(409)
    // Nor the other way round, where that would let in as somebody who is there already.
    await bob.post(`/api/accounts/${await idOf('Carol')}/password-link`, {}).expect(201)
    const [by_bob] = (await ada.get('/api/invitations').expect(200)).body
    await ada.post(`/api/invitations/${by_bob.id}/confirm`, {}).expect(403, /two persons/)
  })
})

describe('a studio for two persons', () => {
  const { server: at, ada, someone, invite, idOf, propose, approve, asToken, use } = useStudio(0)

  test('G55 publisher | two persons | has one link as a publisher alone, and no more once it was used', async () => {
    const { body: first } = await ada.post('/api/invitations', { role: 'publisher' }).expect(201)
    const { body: second } = await ada.post('/api/invitations', { role: 'publisher' }).expect(201)
    await use(first.secret, { name: 'Bob', password: PASSWORD }).expect(201)
    await use(second.secret).expect(409, /another publisher has to approve/)
  })

  test('G55 publisher | two persons | takes nobody over by a link from before that one was a publisher', async ({
    task,
  }) => {
    task.meta.attacks = 2
    const bob = someone()
    await bob.sign('/api/session', { name: 'Bob', password: PASSWORD })
    await invite(bob, 'Dora', 'author')
    const dora = await idOf('Dora')
    const make = async () => (await ada.post(`/api/accounts/${dora}/password-link`, {}).expect(201)).body
    const before = await make()
    expect(before.needs_second).toBe(false)
    await bob.patch(`/api/accounts/${dora}`, { role: 'publisher' }).expect(200, /"waits":true/)
    const [promotion] = (await ada.get('/api/invitations').expect(200)).body
    const meanwhile = await make()
    await ada.post(`/api/invitations/${promotion.id}/confirm`, {}).expect(204)
    for (const { secret } of [before, meanwhile]) await use(secret, { password: 'taken over entirely' }).expect(410)
    await bob.patch(`/api/accounts/${dora}`, { active: false }).expect(200)
  })

  test('G55 author | two persons | proposes, and a publisher agrees: these are two', async () => {
    const vera = await invite(ada, 'Vera', 'author')
    const proposal = await propose(vera)
    expect((await approve(vera, proposal)).body).toMatchObject({
      status: 403,
      title: expect.stringMatching(/this is for publishers/),
    })
    await vera.post(`/api/sets/${proposal}/publish`, { message: 'x', base: 0, revision: 1 }).expect(403)
    expect((await approve(ada, proposal)).status).toBe(201)
    const of_ada = await propose(ada)
    await vera.delete(`/api/sets/${of_ada}/proposal`).expect(403)
    const own = await propose(vera)
    await vera.delete(`/api/sets/${own}/proposal`).expect(204)
  })

  test('G55 publisher | two persons | publishes nothing that was not proposed as it is', async ({ task }) => {
    task.meta.attacks = 6
    const vera = someone()
    await vera.sign('/api/session', { name: 'Vera', password: PASSWORD })
    const id = await propose(vera)
    const [own, of_ada] = [openSet(vera, id), openSet(ada, id)]
    const { base, revision } = await own.seen()
    const approve = (seen: object) => ada.post(`${own.path}/approve`, seen)
    // Ada puts something of her own into what Vera has proposed, and agrees to it.
    const plugin = { name: 'mine', phase: 'access', fields: { code: 'exit(451)' } }
    await of_ada.add((await own.review()).differences[0].domain, plugin).expect(201)
    await approve({ base, revision }).expect(409, /changed after it was proposed/)
    await approve({ base, revision: revision + 1 }).expect(409, /changed after it was proposed/)
    // Proposing it herself, it is her own.
    expect((await of_ada.propose('mine')).status).toBe(201)
    await approve({ base, revision: revision + 1 }).expect(403, /your own/)
    // Vera has not seen what she would propose.
    await vera.post(`${own.path}/propose`, { message: 'x', base, revision }).expect(409, /changed since you looked/)
    // What was published is not open to anybody any more.
    expect((await own.propose('with the other one')).status).toBe(201)
    expect((await of_ada.approve()).status).toBe(201)
    await own.addDomain('late.example').expect(409, /already published/)
    await approve({ base: base + 1, revision: revision + 1 }).expect(404, /not proposed, or it was already decided/)
  })

  test('G55 author | change sets | discards none of another, and takes back no proposal of another', async ({
    task,
  }) => {
    task.meta.attacks = 3
    const vera = someone()
    await vera.sign('/api/session', { name: 'Vera', password: PASSWORD })
    const id = await propose(ada)
    await vera.delete(`/api/sets/${id}`).expect(403)
    await vera.delete(`/api/sets/${id}/proposal`).expect(403)
    await vera.post(`/api/sets/${id}/approve`, { base: 0, revision: 1 }).expect(403)
    const vic = await invite(ada, 'Victor', 'viewer')
    for (const [method, path] of [
      ['post', '/api/sets'],
      ['patch', `/api/sets/${id}`],
      ['delete', `/api/sets/${id}`],
      ['post', `/api/sets/${id}/comments`],
      ['post', `/api/sets/${id}/split`],
      ['post', `/api/sets/${id}/domains`],
      ['post', '/api/sets/new/domains'],
    ] as const)
      await vic.send(method, path, { name: 'x' }).expect(403)
    await ada.delete(`/api/sets/${id}`).expect(204)
  })

  test('G55 publisher | two persons | lets nobody in as a publisher alone', async ({ task }) => {
    task.meta.attacks = 4
    const { body: invited } = await ada.post('/api/invitations', { role: 'publisher' }).expect(201)
    await use(invited.secret).expect(409, /another publisher has to approve/)
    const { body: links } = await ada.get('/api/invitations').expect(200)
    expect(links[0]).toMatchObject({ kind: 'account', role: 'publisher', created_by: 'Ada', waits: true })
    await ada.post(`/api/invitations/${links[0].id}/confirm`, {}).expect(403, /you created this/)

    // By a new password for a colleague.
    const { body: link } = await ada.post(`/api/accounts/${await idOf('Bob')}/password-link`, {}).expect(201)
    await use(link.secret, { password: 'taken over entirely' }).expect(409, /another publisher/)
    // By making an account of one's own a publisher.
    const vera_id = await idOf('Vera')
    await ada.patch(`/api/accounts/${vera_id}`, { role: 'publisher' }).expect(200, /"role":"author".*"waits":true/)
    const [promotion] = (await ada.get('/api/invitations').expect(200)).body
    expect(promotion).toMatchObject({ kind: 'publisher', name: 'Vera', waits: true })
    await ada.post(`/api/invitations/${promotion.id}/confirm`, {}).expect(403)
    // By letting one in again.
    await ada.patch(`/api/accounts/${await idOf('Dora')}`, { active: true }).expect(200, /"active":false.*"waits":true/)
    await ada.get('/api/audit').expect(200, /propose publisher.*make password link.*invite/)

    const bob = someone()
    await bob.sign('/api/session', { name: 'Bob', password: PASSWORD })
    await bob.post(`/api/invitations/${promotion.id}/confirm`, {}).expect(204)
    await ada.get('/api/accounts').expect(200, /"name":"Vera","role":"publisher"/)
    await ada.get('/api/audit').expect(200, /agree to a publisher/)
  })

  test('G55 publisher | outlives | leaves no link or token behind', async ({ task }) => {
    task.meta.attacks = 5
    const bob = someone()
    await bob.sign('/api/session', { name: 'Bob', password: PASSWORD })
    const { body: invited } = await bob.post('/api/invitations', { role: 'viewer' }).expect(201)
    const { body: link } = await bob.post(`/api/accounts/${await idOf('Vera')}/password-link`, {}).expect(201)
    const { body: token } = await bob.post('/api/tokens', { name: 'left', role: 'publisher' }).expect(201)
    await ada.patch(`/api/accounts/${await idOf('Bob')}`, { role: 'viewer' }).expect(200)
    await use(invited.secret).expect(410)
    await use(link.secret).expect(410)
    await asToken(token.secret)(supertest(at()).get('/api/accounts')).expect(403)
    // And gets nothing back when the person does.
    const vera = someone()
    await vera.sign('/api/session', { name: 'Vera', password: PASSWORD })
    await ada.patch(`/api/accounts/${await idOf('Bob')}`, { role: 'publisher' }).expect(200)
    const [again] = (await vera.get('/api/invitations').expect(200)).body
    await vera.post(`/api/invitations/${again.id}/confirm`, {}).expect(204)
    await asToken(token.secret)(supertest(at()).get('/api/accounts')).expect(403)
    await ada.patch(`/api/accounts/${await idOf('Bob')}`, { active: false }).expect(200)
    await asToken(token.secret)(supertest(at()).get('/api/plugins')).expect(401)
  })

  test('G55 publisher | outlives | ends links and sessions with a new password', async () => {
    const { body: link } = await ada.post(`/api/accounts/${await idOf('Ada')}/password-link`, {}).expect(201)
    const { body: invited } = await ada.post('/api/invitations', { role: 'viewer' }).expect(201)
    const phone = someone()
    await phone.sign('/api/session', { name: 'Ada', password: PASSWORD })
    await ada.put('/api/session/password', { current: PASSWORD, password: PASSWORD }).expect(204)
    await phone.get('/api/session').expect(401)
    for (const { secret } of [link, invited]) await use(secret).expect(410)
  })

  test('G55 token | outlives | makes nothing that lasts longer, and ends with all that it made', async ({ task }) => {
    task.meta.attacks = 4
    const soon = new Date(Date.now() + 600_000).toISOString()
    const { body: short } = await ada
      .post('/api/tokens', { name: 'short', role: 'publisher', expires_at: soon })
      .expect(201)
    const by = asToken(short.secret)
    const make = (body: object) =>
      by(supertest(at()).post('/api/tokens')).send({ name: 'made', role: 'viewer', ...body })
    await make({}).expect(422, /expires_at: expected a time no later than/)
    await make({ expires_at: '2100-01-01T00:00:00Z' }).expect(422)
    const { body: made } = await make({ expires_at: soon }).expect(201)
    const { body: link } = await by(supertest(at()).post('/api/invitations')).send({ role: 'viewer' }).expect(201)
    const [listed] = (await ada.get('/api/invitations').expect(200)).body
    expect(Date.parse(listed.expires_at)).toBeLessThanOrEqual(Date.parse(soon))
    await asToken(made.secret)(supertest(at()).get('/api/plugins')).expect(200)
    await ada.delete(`/api/tokens/${short.id}`).expect(204)
    await asToken(made.secret)(supertest(at()).get('/api/plugins')).expect(401)
    await supertest(at()).post('/api/invitations/look').send({ invitation: link.secret }).expect(410)
  })

  test('G55 publisher | outlives | takes a link back', async () => {
    const { body: link } = await ada.post('/api/invitations', { role: 'author' }).expect(201)
    const [listed] = (await ada.get('/api/invitations').expect(200)).body
    await ada.delete(`/api/invitations/${listed.id}`).expect(204)
    await supertest(at()).post('/api/invitations/look').send({ invitation: link.secret }).expect(410)
    await ada.delete(`/api/invitations/${listed.id}`).expect(404)
  })

  const open = (secret: string) => {
    const { port } = at().address() as AddressInfo
    return fetch(`http://127.0.0.1:${port}/api/events`, { headers: { authorization: `Bearer ${secret}` } })
  }

  test('G55 token | streams | hears nothing once it is revoked, or has expired', async ({ task }) => {
    task.meta.attacks = 2
    const make = async (expires_at: string | null) =>
      (await ada.post('/api/tokens', { name: 'watch', role: 'viewer', expires_at }).expect(201)).body
    const revoked = await make(null)
    /** On a busy machine a token may have ended before its stream is open: then one that lasts longer. */
    const openExpiring = async (lasts_ms: number): Promise<Response> => {
      const stream = await open((await make(new Date(Date.now() + lasts_ms).toISOString())).secret)
      return stream.status === 200 || lasts_ms > 30_000 ? stream : openExpiring(lasts_ms * 2)
    }
    const streams = [await openExpiring(1000), await open(revoked.secret)]
    const ended = streams.map((response) => new Response(response.body).text())
    await ada.delete(`/api/tokens/${revoked.id}`).expect(204)
    for (const text of await Promise.all(ended)) expect(text).toContain('retry')
  })

  test('G55 viewer | streams | hears nothing after signing out', async () => {
    const vic = await invite(ada, 'Vic', 'viewer')
    const { port } = at().address() as AddressInfo
    const { headers } = await supertest(at()).post('/api/session').send({ name: 'Vic', password: PASSWORD }).expect(200)
    const cookie = (headers['set-cookie'] as unknown as string[])[0]?.split(';')[0] as string
    const stream = await fetch(`http://127.0.0.1:${port}/api/events`, { headers: { cookie } })
    const { csrf } = (await supertest(at()).get('/api/session').set('Cookie', cookie).expect(200)).body
    await supertest(at()).delete('/api/session').set('Cookie', cookie).set('X-CSRF-Token', csrf).expect(204)
    expect(await new Response(stream.body).text()).toContain('retry')
    await vic.get('/api/session').expect(200)
  })

  test('G56 viewer | streams | opens no more than a few, and is told so', async () => {
    const { body: token } = await ada.post('/api/tokens', { name: 'many', role: 'viewer' }).expect(201)
    const streams = await Promise.all(Array.from({ length: 25 }, () => open(token.secret)))
    const statuses = streams.map(({ status }) => status)
    expect(new Set(statuses)).toEqual(new Set([200, 503]))
    expect(statuses.filter((status) => status === 200).length).toBeLessThanOrEqual(20)
    await Promise.all(streams.map(({ body }) => body?.cancel()))
  })
})

describe('signing in', () => {
  let running: Running
  beforeAll(async () => {
    running = await runStudio({ database: IN_MEMORY, proxy: true })
    const ada = createVisitor(() => running.server)
    await ada.sign('/api/accounts', { invitation: running.studio.invitation, name: 'Ada', password: PASSWORD })
  })
  afterAll(() => running.close())
  const from = (address: string, password: string, name = 'ada') =>
    supertest(running.server).post('/api/session').set('X-Forwarded-For', address).send({ name, password })

  test('G56 stranger | sign-in | keeps nobody out by failing in that one’s name', { timeout: 120_000 }, async ({
    task,
  }) => {
    task.meta.attacks = 210
    await Promise.all(Array.from({ length: 210 }, (_, at) => from(`192.0.2.${at % 21}`, 'wrong').expect(401)))
    await from('198.51.100.1', PASSWORD).expect(200)
  })

  test('G56 stranger | sign-in | is held up by range, however many addresses of it there are', async () => {
    for (let at = 0; at < 10; at += 1) await from(`2001:db8:1:1::${at}`, 'wrong', 'eve').expect(401)
    await from('2001:db8:1:1:ffff::1', 'wrong', 'eve').expect(429)
    await from('2001:db8:1:2::1', 'wrong', 'eve').expect(401)
    expect(rangeOf('::ffff:192.0.2.1', 4)).toBe('192.0.2.1')
    expect(rangeOf('2001:0DB8::1', 4)).toBe('2001:db8:0:0::')
    expect(rangeOf('::1', 4)).toBe('0:0:0:0::')
  })

  test('G55 stranger | sign-in | is in the audit log, without what may be a password', async () => {
    await from('203.0.113.7', 'wrong').expect(401)
    await from('203.0.113.7', 'wrong', 'my secret typed here').expect(401)
    const ada = createVisitor(() => running.server)
    await ada.sign('/api/session', { name: 'ada', password: PASSWORD })
    const { body } = await ada.get('/api/audit').expect(200)
    expect(body[1]).toMatchObject({
      action: 'fail to sign in',
      subject: 'an unknown name',
      details: { address: '203.0.113.7' },
    })
    expect(body[2]).toMatchObject({ action: 'fail to sign in', subject: 'Ada' })
    expect(JSON.stringify(body)).not.toContain('my secret')
  })
})
