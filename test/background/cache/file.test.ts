import fs from 'node:fs'
import { basename } from 'node:path'
import { describe, expect, test } from 'vitest'
import { type CachePlace, createPlace, putInPlace, sweep, writeDurably } from '../../../lib/background/cache/file.ts'
import { identifyThisProcess } from '../../../lib/background/cache/process-identity.ts'
import type { FileSystem } from '../../../lib/background/cache/safety.ts'
import { cachePath, NO_PROCESS } from '../../fixtures/cache.ts'

const here = identifyThisProcess()
const read = (path: string) => fs.readFileSync(path, 'utf8')
const failing = (code: string) => () => {
  throw Object.assign(new Error(`${code}: it does not`), { code })
}

function openPlace(changed: Partial<FileSystem> = {}, path = cachePath()) {
  const place = createPlace({ ...fs, ...changed }, path, here)
  return {
    path,
    place,
    names: () => fs.readdirSync(place.folder).sort(),
    replace: (text: string, keep?: boolean) => replaceIn(place, text, keep),
  }
}

async function replaceIn(place: CachePlace, text: string, keep = true): Promise<void> {
  const parts = [Buffer.from(text.slice(0, 2)), Buffer.from(text.slice(2))]
  putInPlace(place, await writeDurably(place, parts, Date.now(), new AbortController().signal), keep)
}

describe('replacing a file', () => {
  test('keeps the one before, and only that', async () => {
    const { path, names, replace } = openPlace()
    for (const text of ['one', 'two', 'three']) await replace(text)
    expect([read(path), read(`${path}.previous`)]).toEqual(['three', 'two'])
    expect(names()).toEqual(['plugins.cache', 'plugins.cache.previous'])
  })

  test('leaves the one before as it is where it is told so', async () => {
    const { path, replace } = openPlace()
    for (const text of ['one', 'two']) await replace(text)
    await replace('two again', false)
    expect([read(path), read(`${path}.previous`)]).toEqual(['two again', 'one'])
  })

  test('makes files that only their owner can read', async () => {
    const { path, replace } = openPlace()
    for (const text of ['one', 'two']) await replace(text)
    for (const file of [path, `${path}.previous`]) expect(fs.statSync(file).mode & 0o777).toBe(0o600)
  })

  test('has two whole and different files after every step', async () => {
    const { path, place } = openPlace()
    const seen: string[] = []
    const look = () =>
      seen.push([path, `${path}.previous`].map((file) => (fs.existsSync(file) ? read(file) : '-')).join(' '))
    const watch =
      <A extends unknown[], R>(call: (...of: A) => R) =>
      (...of: A) => {
        const result = call(...of)
        look()
        return result
      }
    const watched = {
      ...fs,
      linkSync: watch(fs.linkSync),
      renameSync: watch(fs.renameSync),
      unlinkSync: watch(fs.unlinkSync),
    }
    await replaceIn(place, 'one')
    await replaceIn(place, 'two')
    await replaceIn({ ...place, fs: watched }, 'three')
    expect([...new Set(seen)]).toEqual(['two one', 'three one', 'three two'])
  })

  test('goes on from where both names have the same file', async () => {
    const { path, names, replace } = openPlace()
    await replace('one')
    fs.linkSync(path, `${path}.previous`)
    await replace('two')
    expect([read(path), read(`${path}.previous`)]).toEqual(['two', 'one'])
    expect(names()).toHaveLength(2)
  })

  test('does without links where the file system has none', async () => {
    const { path, names, replace } = openPlace({ linkSync: failing('EPERM') })
    for (const text of ['one', 'two', 'three']) await replace(text)
    expect([read(path), read(`${path}.previous`)]).toEqual(['three', 'two'])
    expect(names()).toHaveLength(2)
  })

  test('writes on where the disk takes less than it is given', async () => {
    const write = ((fd: number, bytes: Uint8Array, from: number, length: number, at: number, done: () => void) =>
      fs.write(fd, bytes, from, Math.min(2, length), at, done)) as unknown as typeof fs.write
    const { path, replace } = openPlace({ write })
    await replace('a longer text')
    expect(read(path)).toBe('a longer text')
  })

  test.each(['write', 'fsync', 'futimesSync', 'fstatSync'] as const)(
    'that fails at %s changes nothing and leaves nothing behind',
    async (call) => {
      const { path, place, names, replace } = openPlace()
      for (const text of ['one', 'two']) await replace(text)
      const broken = { ...place, fs: { ...fs, [call]: failing('ENOSPC') } as FileSystem }
      await expect(replaceIn(broken, 'three')).rejects.toThrow('ENOSPC')
      expect([read(path), read(`${path}.previous`)]).toEqual(['two', 'one'])
      expect(names()).toHaveLength(2)
    },
  )
})

describe('temporary files', () => {
  const hours_ago = (hours: number) => new Date(Date.now() - hours * 3_600_000)

  test.each([
    ['of a process that is over', `${here.machine}-${NO_PROCESS}-0123456789ab`, 0, true],
    ['of this process', `${here.machine}-${process.pid}-0123456789ab`, 0, false],
    ['of a process that lives, but older than an hour', `${here.machine}-${process.pid}-0123456789ab`, 1.1, true],
    ['of another machine, whose processes nobody here knows', `00000000-${NO_PROCESS}-0123456789ab`, 0, false],
    ['of another machine, older than an hour', `00000000-${NO_PROCESS}-0123456789ab`, 1.1, true],
  ])('%s', (_whose, owner, hours, goes) => {
    const { path, place, names } = openPlace()
    fs.writeFileSync(`${path}.${owner}.tmp`, 'x')
    fs.utimesSync(`${path}.${owner}.tmp`, hours_ago(hours), hours_ago(hours))
    sweep(place)
    expect(names()).toHaveLength(goes ? 0 : 1)
  })

  test('of others are left alone', () => {
    const { path, place, names } = openPlace()
    const others = [
      `other.${here.machine}-${NO_PROCESS}-0123456789ab.tmp`,
      `${basename(path)}.tmp`,
      `${basename(path)}.lock`,
    ]
    for (const name of others) fs.writeFileSync(`${place.folder}/${name}`, 'x')
    for (const name of others) fs.utimesSync(`${place.folder}/${name}`, hours_ago(9), hours_ago(9))
    sweep(place)
    expect(names()).toEqual(others.sort())
  })

  test('have names that no two share', () => {
    const { place } = openPlace()
    expect(new Set(Array.from({ length: 1000 }, place.temporary)).size).toBe(1000)
  })
})
