import fs from 'node:fs'
import { expect, test } from 'vitest'
import { createPlace } from '../../../lib/background/cache/file.ts'
import { openLease } from '../../../lib/background/cache/lease.ts'
import { identifyThisProcess } from '../../../lib/background/cache/process-identity.ts'
import { cachePath, NO_PROCESS } from '../../fixtures/cache.ts'

const STALE_MS = 60_000
const here = identifyThisProcess()

function open(path = cachePath()) {
  return { path, file: `${path}.lock`, lease: openLease(createPlace(fs, path, here)) }
}

/** Leaves a lease there that is so old, in milliseconds. */
function leave(file: string, holder: object | string, age_ms = 0): void {
  fs.writeFileSync(file, typeof holder === 'string' ? holder : JSON.stringify(holder), { mode: 0o600 })
  const at = (Date.now() - age_ms) / 1000
  fs.utimesSync(file, at, at)
}

test('is had by one at a time, who may take it again, and give it back', () => {
  const { path, file, lease } = open()
  const other = open(path).lease
  expect([lease.take(STALE_MS), other.take(STALE_MS), lease.take(STALE_MS)]).toEqual([true, false, true])
  other.release()
  expect(fs.existsSync(file)).toBe(true)
  lease.release()
  expect(other.take(STALE_MS)).toBe(true)
  expect(lease.take(STALE_MS)).toBe(false)
})

test.each<[string, object | string, number]>([
  ['a process that is over', { ...here, pid: NO_PROCESS, started: undefined, token: 'x' }, 0],
  ['a process whose number another one has now', { ...here, started: '1', token: 'x' }, 0],
  ['a process that holds it for too long', { ...here, token: 'x' }, STALE_MS + 1],
  ['another machine that holds it for too long', { ...here, machine: 'another', token: 'x' }, STALE_MS + 1],
  ['a machine whose clock is ahead', { ...here, machine: 'another', token: 'x' }, -STALE_MS - 1000],
  ['nobody, as a process that was killed before it wrote its name', '', 1500],
  ['somebody whose name is cut off', '{"pid":12', 1500],
  ['somebody without a name', '{}', 1500],
])('of %s goes to another one, who has it at the next look', (_whose, holder, age_ms) => {
  const { path, file, lease } = open()
  leave(file, holder, age_ms)
  const others = [open(path).lease, open(path).lease]
  expect(lease.take(STALE_MS)).toBe(false)
  expect([lease, ...others].map((each) => each.take(STALE_MS))).toEqual([true, false, false])
  expect(fs.readdirSync(path.slice(0, path.lastIndexOf('/')))).toEqual(['plugins.cache.lock'])
})

test.each<[string, object | string, number]>([
  ['a process that lives', { ...here, token: 'x' }, 0],
  ['another machine', { ...here, machine: 'another', pid: NO_PROCESS, token: 'x' }, STALE_MS - 1000],
  ['nobody knows whom, and is young', '{"pid":', 0],
])('of %s stays', (_whose, holder, age_ms) => {
  const { file, lease } = open()
  leave(file, holder, age_ms)
  for (let turn = 0; turn < 3; turn += 1) expect(lease.take(STALE_MS)).toBe(false)
})

test('goes to one of several that find it over at the same moment', () => {
  const { path, file } = open()
  const leases = Array.from({ length: 5 }, () => open(path).lease)
  leave(file, { ...here, started: '1', token: 'x' })
  const dead_text = fs.readFileSync(file)
  // Each of them has seen the one that is over, and acts on that when the others have done so.
  for (const lease of leases) {
    fs.writeFileSync(file, dead_text, { mode: 0o600 })
    lease.take(STALE_MS)
  }
  expect(leases.map((lease) => lease.take(STALE_MS)).filter(Boolean)).toHaveLength(1)
})

test('counts anew where its holder takes it again, before it is too old', () => {
  const { file, lease } = open()
  lease.take(STALE_MS)
  const ages = [0.2, 0.5, 2].map((share) => {
    const at = Date.now() - STALE_MS * share
    fs.utimesSync(file, at / 1000, at / 1000)
    expect(lease.take(STALE_MS)).toBe(true)
    return Date.now() - fs.statSync(file).mtimeMs > STALE_MS * 0.1
  })
  expect(ages).toEqual([true, false, false])
})
