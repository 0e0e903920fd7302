import { describe, expect, test } from 'vitest'
import { createQueue } from '../../server/review/queue.ts'

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
