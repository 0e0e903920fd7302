import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { IN_MEMORY } from './databases.ts'
import { type Receiver, startReceiver } from './fixtures/receiver.ts'
import { createVisitor, type Running, runStudio } from './visitors.ts'

const PASSWORD = 'correct horse battery'

describe('promoting to another studio', () => {
  let staging: Running
  let production: Running
  let imitation: Receiver
  const ada = createVisitor(() => staging.server)
  const grace = createVisitor(() => production.server)
  const addressOf = ({ server }: Running) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  beforeAll(async () => {
    imitation = await startReceiver()
    production = await runStudio({ database: IN_MEMORY })
    staging = await runStudio({ database: IN_MEMORY, webhooks: { private_hosts: ['127.0.0.1'] } })
    for (const [visitor, { studio }, name] of [
      [ada, staging, 'Ada'],
      [grace, production, 'Grace'],
    ] as const) {
      await visitor.sign('/api/accounts', { invitation: studio.invitation, name, password: PASSWORD })
    }
    const given = { domain: '*', minutes: 60, values: { address: '192.0.2.7' } }
    await ada.post('/api/actions/block-address', given).expect(201)
  })
  afterAll(async () => {
    await staging.close()
    await production.close()
    imitation.close()
    expect(staging.failures).toEqual([])
    expect(production.failures).toEqual([])
  })
  const tokenOf = async (role: string) =>
    (await grace.post('/api/tokens', { name: role, role }).expect(201)).body.secret as string
  const add = async (name: string, token: string) =>
    ada.post('/api/environments', { name, url: `${addressOf(production)}/`, token })

  test('takes a token that may propose there, and shows it never again', async () => {
    const refused = await add('Production', await tokenOf('viewer')).then((answer) => answer)
    expect(refused.status).toBe(422)
    expect(refused.body.fields.token).toMatch(/author or a publisher/)
    await add('Production', 'guessed').then(({ status }) => expect(status).toBe(502))
    const token = await tokenOf('author')
    const { status, text } = await add('Production', token)
    expect(status).toBe(201)
    expect(text).not.toContain(token)
    expect((await ada.get('/api/environments').expect(200)).text).not.toContain(token)
    expect((await ada.get('/api/audit').expect(200)).text).not.toContain(token)
  })

  test('proposes there with a token of an author, and nothing is live by it', async () => {
    const [{ id }] = (await ada.get('/api/environments').expect(200)).body
    const message = 'from staging: block'
    const { body } = await ada.post(`/api/environments/${id}/promotions`, { version: 1, message }).expect(201)
    expect(body).toMatchObject({ version: null, proposal: expect.any(Number) })
    expect((await grace.get('/plugins.json').expect(200)).body.domains).toEqual([])
    const [set] = (await grace.get('/api/sets').expect(200)).body
    // Where whoever has to agree looks at it.
    expect(body.url).toBe(`${addressOf(production)}/changes/${set.id}`)
    expect(set).toMatchObject({ name: message, proposal: { message, is_current: true } })
    const { base, revision } = (await grace.get(`/api/sets/${set.id}/review`).expect(200)).body
    await grace.post(`/api/sets/${set.id}/approve`, { base, revision }).then(({ status, text }) => {
      // The token is Grace's own: she has proposed it.
      expect([status, text]).toEqual([403, expect.stringContaining('your own proposal')])
    })
    await ada.get('/api/audit').expect(/"action":"promote"/)
  })

  test('publishes there with a token of a publisher, by the rules of that studio', async () => {
    const { id } = (await add('Directly', await tokenOf('publisher'))).body
    const message = 'from staging'
    const { body } = await ada.post(`/api/environments/${id}/promotions`, { version: 1, message }).expect(201)
    expect(body).toMatchObject({ version: 1, proposal: null })
    expect((await grace.get('/plugins.json').expect(200)).body.domains).toMatchObject([
      { name: '*', plugins: [{ name: 'block 192.0.2.7' }] },
    ])
    await ada.post(`/api/environments/${id}/promotions`, { version: 1, message }).expect(409, /Directly: /)
    await ada.post(`/api/environments/${id}/promotions`, { version: 99, message }).expect(404)
  })

  test('gives its token to nobody else, and believes nothing that is no answer of a studio', async () => {
    const other = await startReceiver()
    imitation.answer((response) => void response.writeHead(302, { location: other.url }).end())
    const url = imitation.url.replace(/\/hook.*/, '')
    const token = 'a-token'
    await ada.post('/api/environments', { name: 'x', url, token }).expect(502, /it answered with 302/)
    expect(other.received).toEqual([])
    imitation.answer((response) => void response.writeHead(200).end('<html>'))
    await ada.post('/api/environments', { name: 'x', url, token }).expect(502, /no studio of this version/)
    imitation.answer((response) => void response.writeHead(200).end('{"role":"reporter"}'))
    await ada.post('/api/environments', { name: 'x', url, token }).expect(422)
    await ada.post('/api/environments', { name: 'x', url: 'https://10.0.0.1', token }).expect(422, /private/)
    await ada.post('/api/environments', { name: 'x', url, token: 'a\nb' }).expect(422)
    other.close()
  })
})
