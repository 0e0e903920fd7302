import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Webhook } from 'standardwebhooks'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { HOOK_EVENTS } from '../shared/webhooks.ts'
import { databases } from './databases.ts'
import { type Receiver, startReceiver } from './fixtures/receiver.ts'
import { createVisitor, type Running, runStudio } from './visitors.ts'

const PASSWORD = 'correct horse battery'
/** Threads that have to begin first take long on a busy machine. */
const PATIENT = { timeout: 60_000 }
const CODE = "ctx.set('X-A', '1')"

const report = (part: object = {}) => ({
  format: 1,
  instance: 'web-3/1',
  sequence: 1,
  host: 'web-3',
  pid: 4711,
  closing: false,
  ...part,
})
const breaker = { domain: 'shop.example.com', name: 'cors', phase: 'header_filter', state: 'live', breaker: 'open' }

describe.each(databases)('webhooks on $name', ({ options }) => {
  let running: Running
  let receiver: Receiver
  let database: Awaited<ReturnType<typeof options>>
  const ada = createVisitor(() => running.server)

  beforeAll(async () => {
    database = await options()
    receiver = await startReceiver()
    running = await runStudio({
      database,
      public_url: 'https://studio.example.com',
      webhooks: { private_hosts: ['127.0.0.1'], retry_ms: [1, 1, 1] },
    })
    await ada.sign('/api/accounts', { invitation: running.studio.invitation, name: 'Ada', password: PASSWORD })
  })
  afterEach(async () => {
    for (const { id } of (await ada.get('/api/webhooks')).body) await ada.delete(`/api/webhooks/${id}`).expect(204)
    receiver.received.splice(0)
    receiver.answer((response) => response.writeHead(204).end())
  })
  afterAll(async () => {
    await running.close()
    receiver.close()
    expect(running.failures).toEqual([])
  })

  const add = async (part: object = {}) => {
    const given = { name: 'Alerts', url: receiver.url, format: 'json', events: HOOK_EVENTS, ...part }
    return (await ada.post('/api/webhooks', given).expect(201)).body
  }
  /** A change set with a plugin of a domain of its own. */
  const begin = async (name: string, domain: string) => {
    const { domains } = (await ada.get('/plugins.json').expect(200)).body
    const contact = { 'x-owner': 'payments team', 'x-runbook': 'https://wiki.example.com/cors' }
    const plugins = [{ name: 'cors', phase: 'header_filter', code: CODE, ...contact }]
    const document = { domains: [...domains, { name: domain, plugins }] }
    const { set } = (await ada.post('/api/import', { name, document }).expect(201)).body
    const { base, revision } = (await ada.get(`/api/sets/${set}/review`).expect(200)).body
    return { address: `/api/sets/${set}`, seen: { base, revision } }
  }
  const publish = async (message: string, domain = `${message.replace(/\W/g, '-')}.example.com`) => {
    const { address, seen } = await begin(message.slice(0, 50), domain)
    return (await ada.post(`${address}/publish`, { message, ...seen }).expect(201)).body.version as number
  }
  const deliveries = async (id: number) => (await ada.get(`/api/webhooks/${id}/deliveries`).expect(200)).body
  const settled = (id: number) =>
    expect.poll(async () => (await deliveries(id)).map(({ state }: { state: string }) => state), PATIENT)

  test('get a version, in the transaction that publishes it, and signed as Standard Webhooks has it', async () => {
    const { id, secret, host } = await add()
    expect(host).toBe(receiver.host)
    const version = await publish('CORS for the shop')
    await settled(id).toEqual(['delivered'])
    const [{ headers, body }] = receiver.received as [{ headers: Record<string, string>; body: string }]
    expect(JSON.parse(body)).toMatchObject({
      type: 'published',
      data: {
        version,
        actor: 'Ada',
        message: 'CORS for the shop',
        text: `Version ${version} is live, published by Ada: CORS for the shop`,
        link: 'https://studio.example.com/history',
      },
    })
    // Somebody else's implementation.
    expect(new Webhook(secret).verify(body, headers)).toEqual(JSON.parse(body))
    expect(() => new Webhook(secret).verify(`${body} `, headers)).toThrow()
  })

  test('are verified by the snippet of the documentation', async () => {
    const { secret } = await add()
    await publish('snippet')
    await expect.poll(() => receiver.received.length, PATIENT).toBe(1)
    const [{ headers, body }] = receiver.received as [{ headers: Record<string, string>; body: string }]
    const docs = readFileSync(join(import.meta.dirname, '../../../docs/studio.md'), 'utf8')
    const [, snippet] = /```js verify\n([\s\S]*?)```/.exec(docs) as unknown as [string, string]
    const { verify } = await import(`data:text/javascript,${encodeURIComponent(snippet)}`)
    expect(verify(secret, headers, body)).toBe(true)
    expect(verify(secret, headers, `${body} `)).toBe(false)
    expect(verify(secret, { ...headers, 'webhook-timestamp': '1700000000' }, body)).toBe(false)
    expect(verify(`whsec_${Buffer.from('another').toString('base64')}`, headers, body)).toBe(false)
  })

  test('get a proposal, and what is switched off', async () => {
    await publish('first')
    const { id } = await add()
    await ada.post('/api/switch', { domain: 'first.example.com', plugin: 'cors', on: false }).expect(201)
    await settled(id).toEqual(['delivered'])
    await ada.post('/api/switch', { domain: 'first.example.com', plugin: 'cors', on: true }).expect(201)
    const { address, seen } = await begin('second', 'second.example.com')
    await ada.post(`${address}/propose`, { message: 'for the second', ...seen }).expect(201)
    await settled(id).toEqual(['delivered', 'delivered', 'delivered'])
    const texts = receiver.json().map(({ data }) => data.text)
    expect(texts[0]).toMatch(/^Ada switched off cors in first\.example\.com\. Version \d+ is live\.$/)
    expect(texts[1]).toMatch(/^Version \d+ is live, published by Ada: .* is switched on$/)
    expect(texts[2]).toBe('Ada proposes a change: for the second')
  })

  test('are told once of what many processes report, with who answers for the plugin and what to do', async () => {
    await publish('shop')
    const { id } = await add()
    const notable = [{ ...breaker, domain: 'shop.example.com', error: 'boom' }]
    for (const host of ['web-1', 'web-2']) {
      const sick = report({ host, instance: `${host}/breaker`, plugins: { notable } })
      await ada.post('/api/reports', sick).expect(204)
      await ada.post('/api/reports', { ...sick, sequence: 2 }).expect(204)
    }
    await settled(id).toEqual(['delivered'])
    const [{ type, data }] = receiver.json()
    expect(type).toBe('breaker_open')
    expect(data).toMatchObject({ owner: 'payments team', runbook: 'https://wiki.example.com/cors', error: 'boom' })
    expect(data.text).toBe(
      'cors in shop.example.com fails again and again: its breaker is open on web-1 (process 4711): boom',
    )
  })

  test('get a refused plugin, a refused document, one whose time is up, and a rollout that stopped', async () => {
    const { id } = await add()
    const refused = [{ domain: 'a.example.com', name: 'bad', phase: 'access', message: 'no such name: foo' }]
    const instance = 'web-3/refused'
    const partial = { version: 7, verdict: 'partial', refused }
    await ada.post('/api/reports', report({ instance, attempted: partial })).expect(204)
    const nack = { version: 8, verdict: 'nack', error: { message: 'not valid JSON' } }
    await ada.post('/api/reports', report({ instance, sequence: 2, attempted: nack })).expect(204)
    const stale = { stale: true, active: { version: 7 } }
    await ada.post('/api/reports', report({ instance, sequence: 3, ...stale })).expect(204)
    const stopped = { condition: 'error_rate', limit: 0.01, above_control: true, at: 1 }
    const guarded = [{ domain: 'a.example.com', name: 'new', phase: 'access', sha1: 'abc', percent: 10, stopped }]
    await ada.post('/api/reports', report({ instance, sequence: 4, rollouts: { guarded } })).expect(204)
    await settled(id).toEqual(['delivered', 'delivered', 'delivered', 'delivered'])
    expect(
      receiver
        .json()
        .map(({ data }) => data.text)
        .sort(),
    ).toEqual([
      'The rollout of new in a.example.com has stopped on web-3 (process 4711): more than 1 % of the runs fail',
      'web-3 (process 4711) refuses bad in a.example.com of version 7: no such name: foo',
      'web-3 (process 4711) refuses the document of version 8: not valid JSON',
      'web-3 (process 4711) serves version 7, whose time is up: it gets no newer one',
    ])
  })

  test('get only the events that they are for', async () => {
    const { id } = await add({ events: ['killed'] })
    await publish('only')
    await ada.post('/api/switch', { domain: 'only.example.com', on: false }).expect(201)
    await settled(id).toEqual(['delivered'])
    expect(receiver.json().map(({ type }) => type)).toEqual(['killed'])
  })

  test('are tried again with the same number, and given up in the end', async () => {
    const { id } = await add()
    let answers = 0
    receiver.answer((response) => {
      answers += 1
      response.writeHead(answers < 3 ? 503 : 200).end()
    })
    await publish('again')
    await settled(id).toEqual(['delivered'])
    expect(new Set(receiver.received.map(({ headers }) => headers['webhook-id'])).size).toBe(1)
    receiver.answer((response) => void response.writeHead(500).end('of no interest'))
    await publish('and again')
    await settled(id).toEqual(['failed', 'delivered'])
    const [last] = await deliveries(id)
    expect(last).toMatchObject({ attempts: 4, status: 500, error: 'it answered with 500' })
    expect(JSON.stringify(last)).not.toContain('of no interest')
  })

  test('can be tested, paused, and let go on', async () => {
    const { id } = await add()
    const { body } = await ada.post(`/api/webhooks/${id}/test`, {}).expect(200)
    expect(body).toMatchObject({ event: 'test', state: 'delivered', status: 204, attempts: 1 })
    await ada.patch(`/api/webhooks/${id}`, { active: false }).expect(204)
    await publish('unheard')
    receiver.answer((response) => void response.writeHead(302, { location: 'http://127.0.0.1:1/' }).end())
    const failed = (await ada.post(`/api/webhooks/${id}/test`, {}).expect(200)).body
    expect(failed).toMatchObject({ state: 'failed', status: 302, error: 'it answered with 302' })
    await ada.patch(`/api/webhooks/${id}`, { active: true, events: ['published'] }).expect(204)
    receiver.answer((response) => void response.writeHead(410).end())
    await publish('gone')
    // Whoever answers so wants nothing any more.
    await expect
      .poll(async () => (await ada.get('/api/webhooks')).body[0], PATIENT)
      .toMatchObject({ active: false, paused_because: 'it answered with 410: it is gone' })
    expect(receiver.received).toHaveLength(3)
  })

  test('never show an address or a secret again, in the list, the deliveries or the log', async () => {
    const { id, secret } = await add()
    await ada.post(`/api/webhooks/${id}/test`, {}).expect(200)
    const renewed = (await ada.post(`/api/webhooks/${id}/secret`, {}).expect(201)).body.secret
    expect(renewed).not.toBe(secret)
    await ada.post(`/api/webhooks/${id}/test`, {}).expect(200)
    const [, last] = receiver.received as [unknown, { headers: Record<string, string>; body: string }]
    expect(() => new Webhook(renewed).verify(last.body, last.headers)).not.toThrow()
    for (const path of ['/api/webhooks', `/api/webhooks/${id}/deliveries`, '/api/audit']) {
      const { text } = await ada.get(path).expect(200)
      expect(text).not.toContain('a-secret-of-the-chat')
      expect(text).not.toContain(secret.slice(8))
      expect(text).not.toContain(renewed.slice(8))
    }
  })

  test('write text that no chat takes for a mention, a link or markup', async () => {
    const hooks = await Promise.all(
      ['slack', 'teams', 'discord'].map((format) => add({ name: format, format, events: ['published'] })),
    )
    const message = '<!channel> @everyone <@U1> [pay](https://evil.example.com) *now* & `x`'
    await publish(message, 'chat.example.com')
    for (const { id } of hooks) await settled(id).toEqual(['delivered'])
    const all = receiver.json()
    const slack = all.find(({ text }) => text)
    expect(slack.mrkdwn).toBe(false)
    expect(slack.text).toContain('&lt;!channel&gt; @everyone &lt;@U1&gt;')
    expect(slack.text).toContain('&amp;')
    const teams = all.find(({ attachments }) => attachments).attachments[0].content
    expect(teams.body).toEqual([
      { type: 'RichTextBlock', inlines: [{ type: 'TextRun', text: expect.stringContaining(message) }] },
    ])
    const discord = all.find(({ content }) => content)
    expect(discord.allowed_mentions).toEqual({ parse: [] })
    expect(discord.content).toContain(
      '\\<!channel\\> \\@everyone \\<\\@U1\\> \\[pay\\]\\(https://evil.example.com\\) \\*now\\*',
    )
  })

  test('hold up nobody but themselves when one does not answer', async () => {
    const silent = await startReceiver()
    silent.answer(() => undefined)
    try {
      const slow = await add({ name: 'slow', url: silent.url, events: ['published'] })
      const { id } = await add({ events: ['published'] })
      await publish('quick')
      await settled(id).toEqual(['delivered'])
      expect(await deliveries(slow.id)).toMatchObject([{ state: 'waiting' }])
    } finally {
      silent.close()
    }
  })

  test.runIf(databasesAreShared(options))('of several studios, one makes each delivery', async () => {
    const second = await runStudio({ database, webhooks: { private_hosts: ['127.0.0.1'] } })
    const { id } = await add({ events: ['published'] })
    for (const message of ['one', 'two', 'three', 'four']) await publish(message)
    await settled(id).toEqual(Array(4).fill('delivered'))
    expect(new Set(receiver.received.map(({ headers }) => headers['webhook-id'])).size).toBe(4)
    expect(receiver.received).toHaveLength(4)
    await second.close()
    expect(second.failures).toEqual([])
  })
})

/** An embedded database is one process's alone. */
function databasesAreShared(options: (typeof databases)[number]['options']): boolean {
  return options !== databases[0]?.options
}
