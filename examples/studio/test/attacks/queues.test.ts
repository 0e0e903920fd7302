import { describe, expect, onTestFinished, test } from 'vitest'
import { createQueue } from '../../server/review/queue.ts'
import { createVisitor, runStudio } from '../visitors.ts'

const asking = (account_id: number, more: object = {}) => ({ account_id, is_urgent: false, ...more })
const refuse = () => undefined

describe('the queue of the checks', () => {
  test('G56 viewer | queues | takes its turn, however much it asks for; what is urgent takes none', () => {
    const queue = createQueue<string>()
    for (const name of ['a1', 'a2', 'a3']) queue.add(name, asking(1), refuse)
    queue.add('b1', asking(2), refuse)
    queue.add('kill', asking(3, { is_urgent: true }), refuse)
    const order = Array.from({ length: 6 }, () => queue.next())
    expect(order).toEqual(['kill', 'a1', 'b1', 'a2', 'a3', undefined])
  })

  test('G56 viewer | queues | has a share of its own, and leaves the others theirs', () => {
    const queue = createQueue<number>()
    const add = (account: number) => queue.add(0, asking(account), refuse)
    for (let count = 0; count < 10; count += 1) add(1)
    expect(() => add(1)).toThrow('too much checked')
    add(2)
    for (let count = 0; count < 300; count += 1) queue.add(count, asking(1, { is_urgent: true }), refuse)
    expect(queue.next()).toBe(0)
  })

  test('G56 viewer | queues | leaves nothing behind when it has gone', () => {
    const queue = createQueue<string>()
    const gone = new AbortController()
    const refused: string[] = []
    queue.add('gone', asking(1, { signal: gone.signal }), ({ message }) => refused.push(message))
    queue.add('there', asking(1), refuse)
    gone.abort()
    expect(refused).toEqual(['nobody waits for this any more'])
    expect([queue.next(), queue.next()]).toEqual(['there', undefined])
    expect(() => queue.add('late', asking(1, { signal: gone.signal }), refuse)).toThrow('nobody waits')
  })
})

test('G56 viewer | queues | holds up neither another’s check nor the kill switch', { timeout: 120_000 }, async ({
  task,
}) => {
  task.meta.attacks = 130
  const running = await runStudio({ database: { folder: 'memory' } })
  onTestFinished(running.close)
  const { studio, server } = running
  const password = 'correct horse battery'
  const ada = createVisitor(() => server)
  await ada.sign('/api/accounts', { invitation: studio.invitation, name: 'Ada', password })
  const { body: domain } = await ada.post('/api/domains', { name: 'a.example' }).expect(201)
  const plugin = { name: 'p', phase: 'access', fields: { code: 'exit(404)' } }
  await ada.post(`/api/domains/${domain.id}/plugins`, plugin).expect(201)
  await ada.post('/api/versions', { message: 'p', base: 0 }).expect(201)
  const vic = createVisitor(() => server)
  const { body: invited } = await ada.post('/api/invitations', { role: 'viewer' }).expect(201)
  await vic.sign('/api/accounts', { invitation: invited.secret, name: 'Vic', password })

  const plugins = Array.from({ length: 20 }, (_, at) => ({
    name: `p${at}`,
    phase: 'access',
    code: `exit(${400 + at})`,
  }))
  const flood = Array.from({ length: 130 }, (_, at) =>
    vic
      .post('/api/check', { document: { domains: [{ name: `${at}.example`, plugins }] } })
      .then(({ status }) => status),
  )
  const checked = ada.post('/api/check', { document: { domains: [] } }).then(({ status }) => status)
  const killed = ada.post('/api/switch', { domain: 'a.example', plugin: 'p', on: false }).then(({ status }) => status)
  expect(await Promise.all([checked, killed])).toEqual([200, 201])
  // Of the flood, what is more than a share is refused at once.
  expect(new Set(await Promise.all(flood))).toEqual(new Set([200, 503]))
})
