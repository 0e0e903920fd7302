import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createQueue } from '../../server/review/queue.ts'
import { beginSet } from '../change-sets.ts'
import { IN_MEMORY } from '../databases.ts'
import { createVisitor, type Running, runStudio, type Visitor } from '../visitors.ts'

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
    expect(() => add(1)).toThrow('too many checks are running for your account')
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

describe('a studio that is flooded', () => {
  const PASSWORD = 'correct horse battery'
  let running: Running
  const ada = createVisitor(() => running.server)
  beforeAll(async () => {
    running = await runStudio({ database: IN_MEMORY })
    await ada.sign('/api/accounts', { invitation: running.studio.invitation, name: 'Ada', password: PASSWORD })
  })
  afterAll(async () => {
    await running.close()
    expect(running.failures).toEqual([])
  })

  async function join(name: string, role: string): Promise<Visitor> {
    const { body } = await ada.post('/api/invitations', { role }).expect(201)
    const visitor = createVisitor(() => running.server)
    await visitor.sign('/api/accounts', { invitation: body.secret, name, password: PASSWORD })
    return visitor
  }
  const plugins = (count: number, code: string) =>
    Array.from({ length: count }, (_, at) => ({ name: `p${at}`, phase: 'access', code: `${code} // ${at}` }))
  const documentOf = (list: object[]) => ({ domains: [{ name: 'a.example', plugins: list }] })

  test('G56 everybody | queues | publishes and switches off before what others have asked for', {
    timeout: 120_000,
  }, async ({ task }) => {
    const set = await beginSet(ada)
    await set.addDomain('a.example').expect(201)
    await set.add('a.example', { name: 'block', phase: 'access', fields: { code: 'exit(403)' } }).expect(201)
    const others = await Promise.all([1, 2, 3].map((at) => join(`author ${at}`, 'author')))
    // What is looked at once is known to the thread that looks.
    const seen = await set.seen()
    let answered = 0
    const large = (turn: string) => ({ document: documentOf(plugins(1500, `/* ${turn} */`)) })
    const flood = others.flatMap((other, who) =>
      [1, 2, 3, 4, 5].flatMap((at) =>
        ['/api/check', '/api/import/preview'].map(async (path) => {
          await other.post(path, large(`${who} ${at}`)).expect(200)
          answered += 1
        }),
      ),
    )
    task.meta.attacks = flood.length
    // There are some that wait.
    await expect.poll(() => answered, { timeout: 60_000 }).toBeGreaterThan(0)
    await ada.post(`${set.path}/publish`, { message: 'block', ...seen }).expect(201)
    await ada.post('/api/switch', { domain: 'a.example', plugin: 'block', on: false }).expect(201)
    await ada.post('/api/switch', { on: false }).expect(201)
    // None of the three has stood behind them.
    expect(answered).toBeLessThan(flood.length)
    await Promise.all(flood)
  })
})
