import fs from 'node:fs'
import { basename } from 'node:path'
import { expect, test } from 'vitest'
import { createPlace } from '../../../lib/background/cache/file.ts'
import { identifyThisProcess } from '../../../lib/background/cache/process-identity.ts'
import { openVersionMark } from '../../../lib/background/cache/version-mark.ts'
import { cachePath } from '../../fixtures/cache.ts'

const isRoot = process.geteuid?.() === 0

function open(path = cachePath(), changed = {}) {
  const place = createPlace({ ...fs, ...changed }, path, identifyThisProcess())
  return { path, mark: openVersionMark(place), names: () => fs.readdirSync(place.folder).sort() }
}

test('the highest version is unknown until one is noted', () => {
  expect(open().mark.highest()).toBeUndefined()
  expect(open(`${cachePath()}/no/such/folder`).mark.highest()).toBeUndefined()
})

test('the highest version never goes down, and one file stays', async () => {
  const { path, mark, names } = open()
  for (const version of [5, 3, 9, 9, 0, -4, 10]) await mark.note(version)
  expect(mark.highest()).toBe(10)
  expect(open(path).mark.highest()).toBe(10)
  expect(names()).toEqual([`${basename(path)}.version-10`])
})

test('versions may be any integers', async () => {
  const { mark } = open()
  for (const version of [-7, 0, Number.MAX_SAFE_INTEGER]) {
    await mark.note(version)
    expect(mark.highest()).toBe(version)
  }
})

test('a process that comes late with a lower version takes nothing away', async () => {
  const path = cachePath()
  const other = open(path)
  // Between the look at what is there and the writing of something higher, another process notes something higher still.
  let isFirst = true
  const openSync = ((...of: Parameters<typeof fs.openSync>) => {
    if (isFirst) fs.writeFileSync(`${path}.version-8`, '')
    isFirst = false
    return fs.openSync(...of)
  }) as typeof fs.openSync
  await open(path, { openSync }).mark.note(7)
  expect(other.mark.highest()).toBe(8)
})

test('a kill between the new mark and the end of the old one loses nothing', async () => {
  const { path, mark, names } = open()
  for (const version of [1, 2]) fs.writeFileSync(`${path}.version-${version}`, '')
  expect(mark.highest()).toBe(2)
  await mark.note(3)
  expect(names()).toEqual([`${basename(path)}.version-3`])
})

test('a mark is on the disk when it is noted', async () => {
  const steps: string[] = []
  const watch = (name: 'openSync' | 'fsync' | 'unlinkSync') =>
    Object.assign((...of: never[]) => {
      steps.push(name)
      return (fs[name] as (...of: never[]) => unknown)(...of)
    })
  const { path, mark } = open(cachePath(), {
    openSync: watch('openSync'),
    fsync: watch('fsync'),
    unlinkSync: watch('unlinkSync'),
  })
  fs.writeFileSync(`${path}.version-1`, '')
  await mark.note(2)
  // The mark itself, then its folder, and only then the end of the one before.
  expect(steps).toEqual(['openSync', 'openSync', 'fsync', 'unlinkSync'])
})

test('files that only look like marks are none', async () => {
  const { path, mark } = open()
  for (const name of ['version-x', 'version-', 'version-1e9', 'version-12.tmp']) fs.writeFileSync(`${path}.${name}`, '')
  fs.mkdirSync(`${path}.version-99`)
  fs.symlinkSync('/etc/hostname', `${path}.version-98`)
  await mark.note(4)
  expect(mark.highest()).toBe(4)
})

test.runIf(isRoot)("another user's file raises nothing, and one in the way is said", async () => {
  const { path, mark } = open()
  fs.writeFileSync(`${path}.version-50`, '')
  fs.chownSync(`${path}.version-50`, 65534, 65534)
  expect(mark.highest()).toBeUndefined()
  await expect(mark.note(50)).rejects.toThrow('belongs to somebody else')
  await mark.note(51)
  expect(mark.highest()).toBe(51)
})
