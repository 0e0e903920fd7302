import { Secret, TOTP } from 'otpauth'
import supertest from 'supertest'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { IN_MEMORY } from '../databases.ts'
import { createVisitor, type Running, runStudio } from '../visitors.ts'

const PASSWORD = 'correct horse battery'

describe('a second factor', () => {
  let running: Running
  const ada = createVisitor(() => running.server)
  const bob = createVisitor(() => running.server)
  let secret = ''
  let recovery: string[] = []
  let used = ''
  beforeAll(async () => {
    running = await runStudio({ database: IN_MEMORY, proxy: true })
    await ada.sign('/api/accounts', { invitation: running.studio.invitation, name: 'Ada', password: PASSWORD })
    const { body } = await ada.post('/api/invitations', { role: 'author' }).expect(201)
    await bob.sign('/api/accounts', { invitation: body.secret, name: 'Bob', password: PASSWORD })
  })
  afterAll(async () => {
    await running.close()
    expect(running.failures).toEqual([])
  })

  /** @param ahead steps of 30 seconds: each code works once, and one step ahead is taken */
  const codeAt = (ahead: number) =>
    new TOTP({ secret: Secret.fromBase32(secret) }).generate({ timestamp: Date.now() + ahead * 30_000 })
  const enter = (code?: string, address = '192.0.2.1') =>
    supertest(running.server)
      .post('/api/session')
      .set('X-Forwarded-For', address)
      .send({ name: 'bob', password: PASSWORD, ...(code === undefined ? {} : { code }) })
  const actions = async () =>
    (await ada.get('/api/audit').expect(200)).body.map(({ action }: { action: string }) => action)

  test('G55 author | second factor | is turned on by who knows the password and has the key', async ({ task }) => {
    task.meta.attacks = 4
    const { body: token } = await ada.post('/api/tokens', { name: 'ci', role: 'author' }).expect(201)
    await supertest(running.server)
      .post('/api/session/second-factor')
      .set('Authorization', `Bearer ${token.secret}`)
      .send({ password: PASSWORD })
      .expect(403)
    await bob.put('/api/session/second-factor', { code: '123456' }).expect(409)
    await bob.post('/api/session/second-factor', { password: 'wrong' }).expect(403, /"password"/)
    const { body: begun } = await bob.post('/api/session/second-factor', { password: PASSWORD }).expect(200)
    secret = begun.secret
    expect(begun.uri).toContain('otpauth://totp/')
    await enter().expect(200)
    await bob.put('/api/session/second-factor', { code: '000000' }).expect(422, /"code"/)
    used = codeAt(0)
    const { body } = await bob.put('/api/session/second-factor', { code: used }).expect(200)
    recovery = body.recovery_codes
    expect(new Set(recovery).size).toBe(10)
    await bob.get('/api/session/second-factor').expect(200, { on: true })
    expect(await actions()).toContain('turn on second factor')
  })

  test('G55 stranger | second factor | does not get in by a password alone, or by a code once more', async ({
    task,
  }) => {
    task.meta.attacks = 5
    await enter().expect(401, /"code"/)
    await enter('').expect(401, /"code"/)
    await enter(used).expect(401)
    const next = codeAt(1)
    await enter(next).expect(200)
    await enter(next).expect(401)
    const [first = ''] = recovery
    await enter(` ${first.toUpperCase()} `).expect(200)
    await enter(first).expect(401)
    expect((await actions()).slice(0, 4)).toContain('fail at second factor')
  })

  test('G55 publisher | second factor | passes none by with a link for the password', async ({ task }) => {
    task.meta.attacks = 2
    const { body: accounts } = await ada.get('/api/accounts').expect(200)
    const { id } = accounts.find(({ name }: { name: string }) => name === 'Bob')
    expect(accounts).toMatchObject([
      { name: 'Ada', second_factor: false },
      { name: 'Bob', second_factor: true },
    ])
    const { body: link } = await ada.post(`/api/accounts/${id}/password-link`, {}).expect(201)
    const use = (more: object) =>
      supertest(running.server)
        .post('/api/accounts')
        .send({ invitation: link.secret, password: PASSWORD, ...more })
    await use({}).expect(401, /"code"/)
    await use({ code: '000000' }).expect(401)
    await use({ code: recovery[1], password: 'short' }).expect(422, /"password"/)
    await use({ code: recovery[1] }).expect(201)
    expect(await actions()).toContain('set password by link')
  })

  test('G55 author | second factor | is removed by a publisher, whom the log names, and by no author', async ({
    task,
  }) => {
    task.meta.attacks = 2
    const { body: accounts } = await ada.get('/api/accounts').expect(200)
    const [a, b] = accounts.map(({ id }: { id: number }) => id)
    const carol = createVisitor(() => running.server)
    const { body } = await ada.post('/api/invitations', { role: 'author' }).expect(201)
    await carol.sign('/api/accounts', { invitation: body.secret, name: 'Carol', password: PASSWORD })
    await carol.delete(`/api/accounts/${b}/second-factor`).expect(403)
    await ada.delete(`/api/accounts/${a}/second-factor`).expect(403, /your own/)
    await ada.delete(`/api/accounts/${b}/second-factor`).expect(204)
    await ada.delete(`/api/accounts/${b}/second-factor`).expect(404)
    await enter(undefined, '203.0.113.2').expect(200)
    expect((await ada.get('/api/audit').expect(200)).body[1]).toMatchObject({
      actor: 'Ada',
      action: 'reset second factor',
      subject: 'Bob',
    })
  })

  test('G55 author | second factor | is turned off with the password and a code', async ({ task }) => {
    task.meta.attacks = 2
    await bob.sign('/api/session', { name: 'bob', password: PASSWORD })
    const { body: begun } = await bob.post('/api/session/second-factor', { password: PASSWORD }).expect(200)
    secret = begun.secret
    const { body } = await bob.put('/api/session/second-factor', { code: codeAt(0) }).expect(200)
    await bob.post('/api/session/second-factor', { password: PASSWORD }).expect(409)
    const off = (password: string, code: string) => bob.delete('/api/session/second-factor', { password, code })
    await off('wrong', codeAt(1)).expect(403)
    await off(PASSWORD, '000000').expect(403)
    // Codes from before work no longer.
    await off(PASSWORD, recovery[3] as string).expect(403)
    await off(PASSWORD, body.recovery_codes[0]).expect(204)
    await enter(undefined, '203.0.113.3').expect(200)
  })

  test('G56 stranger | second factor | guesses no code from however many addresses', async ({ task }) => {
    task.meta.attacks = 12
    const { body: begun } = await bob.post('/api/session/second-factor', { password: PASSWORD }).expect(200)
    secret = begun.secret
    const { body } = await bob.put('/api/session/second-factor', { code: codeAt(0) }).expect(200)
    const statuses = new Set<number>()
    for (let at = 0; at < 12; at += 1) statuses.add((await enter('000000', `198.51.100.${at}`)).status)
    expect(statuses).toEqual(new Set([401, 429]))
    await enter(body.recovery_codes[0], '203.0.113.1').expect(429)
  })
})
