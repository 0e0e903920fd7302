import { mkdirSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test, vi } from 'vitest'
import { watchCache } from '../../../lib/background/cache/watch.ts'
import { makeFolder } from '../../fixtures/folder.ts'

function start(folder = makeFolder()) {
  const path = join(folder, 'cache')
  const changed = vi.fn()
  const stop = watchCache(path, changed)
  onTestFinished(stop)
  return { folder, path, changed, stop }
}

const soon = { interval: 5 }

test('tells of a new generation, and of one that was found current', async () => {
  const { path, changed } = start()
  writeFileSync(`${path}.1.tmp`, 'one')
  renameSync(`${path}.1.tmp`, path)
  await expect.poll(() => changed.mock.calls.length, soon).toBe(1)
  changed.mockClear()
  utimesSync(path, new Date(), new Date())
  await expect.poll(() => changed.mock.calls.length, soon).toBe(1)
})

test('tells of one that has the name of its folder, too', async () => {
  const folder = join(makeFolder(), 'cache')
  mkdirSync(folder)
  const { path, changed } = start(folder)
  const timers = vi.spyOn(globalThis, 'setTimeout')
  for (let turn = 0; turn < 3; turn += 1) {
    changed.mockClear()
    writeFileSync(`${path}.1.tmp`, String(turn))
    renameSync(`${path}.1.tmp`, path)
    await expect.poll(() => changed.mock.calls.length, soon).toBeGreaterThan(0)
  }
  // The watch never broke off, to begin again later.
  expect(timers).not.toHaveBeenCalled()
})

test('tells of nothing else in the folder, and of nothing once it is ended', async () => {
  const { path, changed, stop } = start()
  for (const name of ['.previous', '.lock', '.highest', '.2.tmp']) writeFileSync(`${path}${name}`, 'x')
  writeFileSync(path, 'x')
  await expect.poll(() => changed.mock.calls.length, soon).toBeGreaterThan(0)
  expect(changed.mock.calls.length).toBeLessThanOrEqual(2)
  stop()
  stop()
  changed.mockClear()
  const other = vi.fn()
  onTestFinished(watchCache(path, other))
  writeFileSync(path, 'y')
  await expect.poll(() => other.mock.calls.length, soon).toBeGreaterThan(0)
  expect(changed).not.toHaveBeenCalled()
})

test('goes on when the folder comes, goes, and comes again', async () => {
  const folder = join(makeFolder(), 'later')
  const { path, changed } = start(folder)
  mkdirSync(folder)
  await expect.poll(() => changed.mock.calls.length, soon).toBeGreaterThan(0)
  changed.mockClear()
  writeFileSync(path, 'x')
  await expect.poll(() => changed.mock.calls.length, soon).toBeGreaterThan(0)
  rmSync(folder, { recursive: true })
  mkdirSync(folder)
  await expect
    .poll(() => {
      changed.mockClear()
      writeFileSync(path, String(Math.random()))
      return new Promise((resolve) => setTimeout(() => resolve(changed.mock.calls.length), 20))
    }, soon)
    .toBeGreaterThan(0)
})
