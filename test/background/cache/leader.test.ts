import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, onTestFinished, test, vi } from 'vitest'
import { shareLead } from '../../../lib/background/cache/leader.ts'
import { makeFolder } from '../../fixtures/folder.ts'

// It goes as the fake timers do.
vi.mock('../../../lib/time/steady-clock.ts', () => ({ steadyNow: () => performance.now() }))

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance', 'Date'] })
})

afterEach(() => {
  vi.useRealTimers()
})

/** Somebody who may lead; `leads` says whether he does. */
function join_in(path: string) {
  const member = { leads: false, times: 0, leave: () => undefined as unknown }
  member.leave = shareLead(path, () => {
    member.leads = true
    member.times += 1
    return () => {
      member.leads = false
    }
  }).stop
  onTestFinished(() => member.leave() as never)
  return member
}

const leaders = (members: { leads: boolean }[]) => members.filter(({ leads }) => leads).length

test('one of several leads, at every moment, and goes on to', async () => {
  const path = join(makeFolder(), 'cache')
  const members = [1, 2, 3].map(() => join_in(path))
  expect(leaders(members)).toBe(1)
  for (let second = 0; second < 60; second += 1) {
    await vi.advanceTimersByTimeAsync(1000)
    expect(leaders(members)).toBeLessThanOrEqual(1)
  }
  expect(leaders(members)).toBe(1)
})

test('another one takes over when the leader leaves', async () => {
  const path = join(makeFolder(), 'cache')
  const [first, second] = [join_in(path), join_in(path)]
  expect([first.leads, second.leads]).toEqual([true, false])
  first.leave()
  first.leave()
  await vi.advanceTimersByTimeAsync(1500)
  expect([first.leads, second.leads]).toEqual([false, true])
})

test('what is left of a leader of another machine is in the way for a while, and no longer', async () => {
  const path = join(makeFolder(), 'cache')
  const holder = { pid: 1, started: '1', machine: 'another', token: 'x', at: Date.now() }
  writeFileSync(`${path}.lead.lock`, JSON.stringify(holder), { mode: 0o600 })
  const member = join_in(path)
  await vi.advanceTimersByTimeAsync(10_000)
  expect(member.leads).toBe(false)
  await vi.advanceTimersByTimeAsync(8000)
  expect(member.leads).toBe(true)
})

test('everybody leads where there can be no lock', () => {
  const path = join(makeFolder(), 'missing', 'cache')
  expect(leaders([join_in(path), join_in(path)])).toBe(2)
})
