import { mkdtempSync, rmSync } from 'node:fs'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import supertest, { type Test } from 'supertest'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { databases } from './databases.ts'
import { createVisitor, type Running, runStudio } from './visitors.ts'

const PASSWORD = 'correct horse battery'
const ANOTHER = 'another staple entirely'

describe.each(databases)('access on $name', ({ options }) => {
  let running: Running
  let server: Server
  const ada = createVisitor(() => server)
  const bob = createVisitor(() => server)

  async function invite(visitor: typeof bob, name: string, role: string) {
    const { body } = await ada.post('/api/invitations', { role }).expect(201)
    await visitor.sign('/api/accounts', { invitation: body.secret, name, password: PASSWORD })
  }
  const idOf = async (name: string): Promise<number> => {
    const { body } = await ada.get('/api/accounts').expect(200)
    return body.find((account: { name: string }) => account.name === name).id
  }

  beforeAll(async () => {
    running = await runStudio({ database: await options(), private_document: true, proxy: true, report_token: 'r' })
    server = running.server
    await ada.sign('/api/accounts', { invitation: running.studio.invitation, name: 'Ada', password: PASSWORD })
    await invite(bob, 'Bob', 'publisher')
  })
  afterAll(async () => {
    await running.close()
    expect(running.failures).toEqual([])
  })

  test('changes a password for who knows it, and ends the other sessions of the account', async () => {
    const phone = createVisitor(() => server)
    await phone.sign('/api/session', { name: 'bob', password: PASSWORD })
    const wrong = await bob.put('/api/session/password', { current: 'wrong', password: ANOTHER }).expect(403)
    expect(wrong.body.fields).toEqual({ current: 'is not your password' })
    await bob.put('/api/session/password', { current: PASSWORD, password: 'short' }).expect(422, /12 to 200/)
    await phone.get('/api/session').expect(200)
    await bob.put('/api/session/password', { current: PASSWORD, password: ANOTHER }).expect(204)
    await bob.get('/api/session').expect(200)
    await phone.get('/api/session').expect(401)
    await supertest(server).post('/api/session').send({ name: 'Bob', password: PASSWORD }).expect(401)
    await phone.sign('/api/session', { name: 'Bob', password: ANOTHER })
  })

  test('sets a forgotten password by a link that works once', async () => {
    const { body } = await ada.post(`/api/accounts/${await idOf('Bob')}/password-link`, {}).expect(201)
    const look = () => supertest(server).post('/api/invitations/look').send({ invitation: body.secret })
    await look().expect(200, { name: 'Bob' })
    const given = { invitation: body.secret, password: PASSWORD }
    await supertest(server)
      .post('/api/accounts')
      .send({ ...given, password: 'bob bob bob bob' })
      .expect(422, /without the name/)
    // A name beside it changes nothing.
    const back = createVisitor(() => server)
    await back.sign('/api/accounts', { ...given, name: 'Ada' })
    await back.get('/api/session').expect(200, /"name":"Bob"/)
    await bob.get('/api/session').expect(401)
    await look().expect(410, /already used/)
    await supertest(server).post('/api/accounts').send(given).expect(410)
    await bob.sign('/api/session', { name: 'Bob', password: PASSWORD })
    await ada.post('/api/accounts/999/password-link', {}).expect(404)
  })

  test('lets only publishers make such links', async () => {
    const vera = createVisitor(() => server)
    await invite(vera, 'Vera', 'author')
    await vera.post(`/api/accounts/${await idOf('Ada')}/password-link`, {}).expect(403)
  })

  test('gives a token no more rights than its maker has by now', async () => {
    const { body: token } = await bob.post('/api/tokens', { name: 'ci', role: 'publisher' }).expect(201)
    const asCi = (test: Test) => test.set('Authorization', `Bearer ${token.secret}`)
    await asCi(supertest(server).get('/api/accounts')).expect(200)
    await ada.patch(`/api/accounts/${await idOf('Bob')}`, { role: 'viewer' }).expect(200)
    await asCi(supertest(server).get('/api/accounts')).expect(403)
    await asCi(supertest(server).get('/api/plugins')).expect(200)
    await ada.patch(`/api/accounts/${await idOf('Bob')}`, { role: 'publisher' }).expect(200)
  })

  test('gives the document to who has a token alone, where that is asked for', async () => {
    await supertest(server).get('/plugins.json').expect(401).expect('WWW-Authenticate', 'Bearer')
    const withToken = (token: string) => supertest(server).get('/plugins.json').set('Authorization', `Bearer ${token}`)
    await withToken('wrong').expect(401)
    await withToken('r').expect(200)
    const { body: token } = await ada.post('/api/tokens', { name: 'web', role: 'reporter' }).expect(201)
    await withToken(token.secret).expect(200)
    await withToken(token.secret).expect(200)
  })

  test('ends what is open for whom it signs out', async () => {
    const { body: token } = await bob.post('/api/tokens', { name: 'watch', role: 'viewer' }).expect(201)
    const { port } = server.address() as AddressInfo
    const response = await fetch(`http://127.0.0.1:${port}/api/events`, {
      headers: { authorization: `Bearer ${token.secret}` },
    })
    const ended = new Response(response.body).text()
    await ada.patch(`/api/accounts/${await idOf('Bob')}`, { active: false }).expect(200)
    await expect(ended).resolves.toContain('retry')
  })

  test('takes no large bodies from strangers', async () => {
    const large = { name: 'x'.repeat(20_000), password: 'x' }
    await supertest(server).post('/api/session').send(large).expect(413)
    await ada.post('/api/check', { document: { domains: [], note: large.name } }).expect(200)
  })

  test('stops who guesses, whatever address the guesser claims to come from, but not whose name it is', async () => {
    const guess = (claimed: string, address: string, password = 'wrong') =>
      supertest(server)
        .post('/api/session')
        .set('X-Forwarded-For', `${claimed}, ${address}`)
        .send({ name: 'ada', password })
    for (let tries = 0; tries < 10; tries += 1) await guess(`10.0.0.${tries}`, '192.0.2.1').expect(401)
    await guess('10.0.0.99', '192.0.2.1')
      .expect(429, /too many attempts/)
      .expect('Retry-After', /\d+/)
    await guess('10.0.0.99', '192.0.2.2', PASSWORD).expect(200)
  })
})

describe('a studio that nobody can sign in to any more', () => {
  test('lets in one more publisher where it is started so, and only there', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'studio-'))
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
    const options = { database: { folder } }
    const joinAs = async (name: string, { studio, server }: Running) => {
      const visitor = createVisitor(() => server)
      await visitor.sign('/api/accounts', { invitation: studio.invitation, name, password: PASSWORD })
      return visitor
    }
    const first = await runStudio(options)
    await joinAs('Ada', first)
    await first.close()

    const second = await runStudio(options)
    expect(second.studio.invitation).toBeUndefined()
    await second.close()

    const third = await runStudio({ ...options, invite: true })
    const eve = await joinAs('Eve', third)
    await eve.get('/api/accounts').expect(200, /"name":"Ada".*"name":"Eve","role":"publisher"/)
    await third.close()
  })
})
