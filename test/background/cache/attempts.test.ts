import { expect, test } from 'vitest'
import { createAttempts } from '../../../lib/background/cache/attempts.ts'

function open() {
  const reports: string[] = []
  const closing = new AbortController()
  const attempts = createAttempts('/a/cache', ({ message }) => reports.push(message), closing.signal)
  const fail = (part: 'written' | 'written lock' | 'read newest', message: string) =>
    attempts.once(part, undefined, () => {
      throw new Error(message)
    })
  const succeed = (part: 'written' | 'written lock' | 'read newest') => attempts.once(part, undefined, () => undefined)
  return { reports, attempts, closing, fail, succeed }
}
const cannot = (...reasons: string[]) => reasons.map((reason) => `the cache at /a/cache cannot be written: ${reason}`)

test('trouble that stays the same is told once', () => {
  const { reports, attempts, fail, succeed } = open()
  for (let turn = 0; turn < 5; turn += 1) fail('written', `full, '/tmp/${turn}'`)
  expect(reports).toEqual(cannot('full'))
  expect(attempts.trouble()).toMatchObject({ code: 'ERR_DYNACODE_CACHE', message: cannot('full')[0] })
  succeed('written')
  expect(attempts.trouble()).toBeNull()
})

test('trouble of another kind is news, and so is the first kind after it', () => {
  const { reports, fail } = open()
  for (const message of ['full', 'read-only', 'read-only', 'full']) fail('written', message)
  expect(reports).toEqual(cannot('full', 'read-only', 'full'))
})

test('trouble that was over is news when it comes back', () => {
  const { reports, fail, succeed } = open()
  for (let turn = 0; turn < 2; turn += 1) {
    fail('written', 'full')
    succeed('written')
  }
  expect(reports).toEqual(cannot('full', 'full'))
})

test('one cause that stops several parts is one piece of news, until the last of them works', () => {
  const { reports, fail, succeed } = open()
  fail('written lock', 'read-only')
  fail('written', 'read-only')
  succeed('written lock')
  fail('written lock', 'read-only')
  expect(reports).toEqual(cannot('read-only'))
})

test('what works says nothing about what does not', () => {
  const { reports, fail, succeed } = open()
  for (let turn = 0; turn < 3; turn += 1) {
    succeed('read newest')
    fail('written', 'full')
  }
  expect(reports).toEqual(cannot('full'))
})

test('what is laid down by closing is no trouble', async () => {
  const { reports, attempts, closing } = open()
  const given = await attempts.long('written', 'nothing', async () => {
    closing.abort()
    throw new Error('laid down')
  })
  expect([given, attempts.once('written', 'nothing', () => 'something'), reports]).toEqual(['nothing', 'nothing', []])
})
