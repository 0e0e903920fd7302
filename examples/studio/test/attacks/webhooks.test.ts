import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { IN_MEMORY } from '../databases.ts'
import { type Receiver, startReceiver } from '../fixtures/receiver.ts'
import { createVisitor, type Running, runStudio } from '../visitors.ts'

const PASSWORD = 'correct horse battery'
/** By every way of writing it: this machine, its neighbours, and the metadata service of a cloud. */
const PRIVATE = [
  'https://127.0.0.1/',
  'https://2130706433/',
  'https://0x7f.1/',
  'https://127.1/',
  'https://0.0.0.0/',
  'https://[::1]/',
  'https://[::]/',
  'https://[::ffff:127.0.0.1]/',
  'https://[::ffff:7f00:1]/',
  'https://[64:ff9b::7f00:1]/',
  'https://[2002:7f00:1::]/',
  'https://[fd00::1]/',
  'https://[fe80::1]/',
  'https://10.0.0.1/',
  'https://172.16.0.1/',
  'https://192.168.1.1/',
  'https://100.64.0.1/',
  'https://169.254.169.254/latest/meta-data/',
  'https://224.0.0.1/',
]
const ODD = [
  'http://chat.example.com/',
  'file:///etc/passwd',
  'gopher://chat.example.com/',
  'https://ada:secret@chat.example.com/',
  'not an address',
  '',
]
/** What resolves to this machine wherever tests run. */
const BY_NAME = ['https://localhost/', 'https://LOCALHOST:9/']

describe('webhooks', () => {
  let running: Running
  let receiver: Receiver
  const ada = createVisitor(() => running.server)
  const given = { name: 'Alerts', format: 'json', events: ['published'] }
  beforeAll(async () => {
    receiver = await startReceiver()
    running = await runStudio({
      database: IN_MEMORY,
      webhooks: { private_hosts: [receiver.host], retry_ms: [] },
    })
    await ada.sign('/api/accounts', { invitation: running.studio.invitation, name: 'Ada', password: PASSWORD })
  })
  afterAll(async () => {
    receiver.close()
    await running.close()
    expect(running.failures).toEqual([])
  })

  test('G55 publisher | reaches inside | has nothing sent to an address that is not public', async ({ task }) => {
    for (const url of [...PRIVATE, ...ODD]) {
      const { status, body } = await ada.post('/api/webhooks', { ...given, url })
      expect.soft(status, url).toBe(422)
      expect.soft(body.fields?.url, url).toMatch(/^expected /)
    }
    task.meta.attacks = PRIVATE.length + ODD.length
  })

  test('G55 publisher | reaches inside | has nothing sent to a name that means a private address', async ({ task }) => {
    for (const url of BY_NAME) {
      const { id } = (await ada.post('/api/webhooks', { ...given, url }).expect(201)).body
      const { body } = await ada.post(`/api/webhooks/${id}/test`, {}).expect(200)
      expect.soft(body, url).toMatchObject({ state: 'failed', status: null })
      expect.soft(body.error, url).toMatch(/expected a public address/)
    }
    task.meta.attacks = BY_NAME.length
  })

  test('G55 publisher | reaches inside | is led nowhere by a redirect, and reads no answer', async () => {
    let inside = 0
    const other = await startReceiver()
    other.answer((response) => {
      inside += 1
      response.end('what is inside')
    })
    receiver.answer((response) => void response.writeHead(307, { location: other.url }).end('what was answered'))
    const { id } = (await ada.post('/api/webhooks', { ...given, url: receiver.url }).expect(201)).body
    const { text } = await ada.post(`/api/webhooks/${id}/test`, {}).expect(200)
    expect(text).toContain('it answered with 307')
    expect(text).not.toContain('what was answered')
    expect(inside).toBe(0)
    other.close()
  })

  test('G56 publisher | sends much | an answer without an end is cut, and counts by its status', async () => {
    receiver.answer((response) => {
      response.writeHead(200)
      const more = () => {
        while (response.write('x'.repeat(16_384)));
      }
      response.on('drain', more)
      more()
    })
    const { id } = (await ada.post('/api/webhooks', { ...given, url: receiver.url }).expect(201)).body
    const { body } = await ada.post(`/api/webhooks/${id}/test`, {}).expect(200)
    expect(body).toMatchObject({ state: 'delivered', status: 200 })
  })

  test('G55 author | reaches inside | neither sees webhooks nor sets any', async ({ task }) => {
    const secret = (await ada.post('/api/tokens', { name: 'an author', role: 'author' }).expect(201)).body.secret
    const { default: supertest } = await import('supertest')
    const ask = (method: 'get' | 'post', path: string) =>
      supertest(running.server)[method](path).set('Authorization', `Bearer ${secret}`)
    await ask('get', '/api/webhooks').expect(403)
    await ask('get', '/api/webhooks/1/deliveries').expect(403)
    await ask('post', '/api/webhooks')
      .send({ ...given, url: receiver.url })
      .expect(403)
    await ask('post', '/api/webhooks/1/test').send({}).expect(403)
    task.meta.attacks = 4
  })

  test('G56 reporter | sends much | cannot fill a chat', async () => {
    receiver.answer((response) => void response.writeHead(204).end())
    receiver.received.splice(0)
    const hook = { ...given, url: receiver.url, events: ['breaker_open'] }
    const { id } = (await ada.post('/api/webhooks', hook).expect(201)).body
    const secret = (await ada.post('/api/tokens', { name: 'app', role: 'reporter' }).expect(201)).body.secret
    const { default: supertest } = await import('supertest')
    for (let sequence = 1; sequence <= 10; sequence += 1) {
      const notable = Array.from({ length: 100 }, (_, at) => ({
        domain: `${sequence}-${at}.example.com`,
        name: 'x',
        state: 'live',
        breaker: 'open',
      }))
      const report = { format: 1, instance: 'a', sequence, host: 'h', pid: 1, closing: false, plugins: { notable } }
      await supertest(running.server)
        .post('/api/reports')
        .set('Authorization', `Bearer ${secret}`)
        .send(report)
        .expect(204)
    }
    const states = async () =>
      (await ada.get(`/api/webhooks/${id}/deliveries`)).body.map(({ state }: { state: string }) => state)
    await expect.poll(states, { timeout: 20_000 }).toEqual(Array(30).fill('delivered'))
  })
})
