import fs from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { identifyThisProcess } from '../../../lib/background/cache/process-identity.ts'
import { askedAgo, cachePath, encodeDocument, NO_PROCESS, openCache, storable, textOf } from '../../fixtures/cache.ts'

const [one, two, three] = [storable('one', 1), storable('two', 2), storable('three', 3)]
const names = (path: string) => fs.readdirSync(dirname(path)).sort()
const failing = (code: string) => () => {
  throw Object.assign(new Error(`${code}: it does not work, open '/tmp/${Math.random()}.tmp'`), { code })
}

describe('reading', () => {
  test('gives nothing, and reports nothing, where nothing was written', async () => {
    const { cache, reports } = openCache(cachePath())
    expect([cache.read(), await cache.fresh(Number.POSITIVE_INFINITY), cache.highest_version()]).toEqual([
      [],
      undefined,
      undefined,
    ])
    expect(reports).toEqual([])
  })

  test('gives the two last generations, newest first, also to another process', async () => {
    const path = cachePath()
    const { cache } = openCache(path)
    for (const document of [one, two, three]) expect(await cache.write(document)).toBe(true)
    for (const { cache: reader } of [{ cache }, openCache(path)]) {
      expect(await reader.read()).toMatchObject([
        { tag: '"3"', version: 3, sha1: three.sha1 },
        { tag: '"2"', version: 2, sha1: two.sha1 },
      ])
      expect((await reader.read()).map(textOf)).toEqual(['three', 'two'])
    }
  })

  test('gives the same object until something changes', async () => {
    const { cache } = openCache(cachePath())
    await cache.write(one)
    const before = await cache.fresh(60_000)
    expect(await cache.fresh(60_000)).toBe(before)
    expect(cache.read()[0]).toBe(before)
    await cache.write(two)
    expect(await cache.fresh(60_000)).not.toBe(before)
    expect(Object.isFrozen(await cache.fresh(60_000))).toBe(true)
  })

  test('gives a document once that is in both generations', async () => {
    const path = cachePath()
    await openCache(path).cache.write(one)
    fs.copyFileSync(path, `${path}.previous`)
    expect(openCache(path).cache.read()).toHaveLength(1)
  })

  test('passes from a damaged newest generation to the one before, and reports it', async () => {
    const path = cachePath()
    const { cache } = openCache(path)
    for (const document of [one, two]) await cache.write(document)
    fs.truncateSync(path, 50)
    const { cache: next, reports } = openCache(path)
    expect(next.read().map(textOf)).toEqual(['one'])
    expect(next.read().map(textOf)).toEqual(['one'])
    expect(reports.map(({ code }) => code)).toEqual(['ERR_DYNACODE_CACHE'])
  })

  test('uses no generation at all where the newest one’s path is not safe', async () => {
    const path = cachePath()
    const { cache } = openCache(path)
    for (const document of [one, two]) await cache.write(document)
    fs.renameSync(path, `${path}.real`)
    fs.symlinkSync(`${path}.real`, path)
    const { cache: next, reports } = openCache(path)
    expect(next.read()).toEqual([])
    expect(await next.fresh(60_000)).toBeUndefined()
    expect(await next.write(three)).toBe(false)
    expect(reports).toHaveLength(1)
    expect(fs.readlinkSync(path)).toBe(`${path}.real`)
  })

  test('gives nothing of another source, says so, and leaves its file alone until there is something of its own', async () => {
    const path = cachePath()
    const other = openCache(path, undefined, undefined, 'another API').cache
    for (const document of [one, two]) await other.write(document)
    const before = fs.readFileSync(path)
    const { cache, reports } = openCache(path)
    expect([cache.read(), await cache.fresh(60_000), await cache.touch(two.sha1, two.tag)]).toEqual([
      [],
      undefined,
      false,
    ])
    expect(
      reports.map(({ code, message }) => [code, /file (\S+) holds a document from another/.exec(message)?.[1]]),
    ).toEqual([
      ['ERR_DYNACODE_CACHE', path],
      ['ERR_DYNACODE_CACHE', `${path}.previous`],
    ])
    expect(fs.readFileSync(path).equals(before)).toBe(true)
    expect(await cache.write(three)).toBe(true)
    expect(cache.read().map(textOf)).toEqual(['three'])
    expect(openCache(path).cache.read().map(textOf)).toEqual(['three'])
  })

  test('gives what was written before files said where they came from', async () => {
    const path = cachePath()
    fs.writeFileSync(path, encodeDocument(one), { mode: 0o600 })
    const { cache, reports } = openCache(path)
    expect(cache.read().map(textOf)).toEqual(['one'])
    expect(reports).toEqual([])
  })
})

describe('freshness', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['Date'], now: 1_900_000_000_000 }))
  afterEach(() => void vi.useRealTimers())

  test('ends when the newest generation is as old as asked', async () => {
    const { cache } = openCache(cachePath())
    await cache.write(one)
    vi.setSystemTime(Date.now() + 999)
    expect(textOf(await cache.fresh(1000))).toBe('one')
    vi.setSystemTime(Date.now() + 1)
    expect(await cache.fresh(1000)).toBeUndefined()
    expect(await cache.fresh(0)).toBeUndefined()
  })

  test('is not a thing of the future', async () => {
    const { cache } = openCache(cachePath())
    await cache.write(one)
    vi.setSystemTime(Date.now() - 1001)
    expect(await cache.fresh(1000)).toBeUndefined()
    // But what the clock says is no reason not to start with it.
    expect(cache.read()).toHaveLength(1)
  })

  test('begins again when the document is found current, here and in every other process', async () => {
    const path = cachePath()
    const [{ cache }, { cache: other }] = [openCache(path), openCache(path)]
    await cache.write(one)
    expect((await other.fresh(1000))?.asked.at).toBe(Date.now())
    vi.setSystemTime(Date.now() + 5000)
    await cache.touch(one.sha1, one.tag)
    for (const each of [cache, other]) expect((await each.fresh(1000))?.asked.at).toBe(Date.now())
  })

  test('is for the newest generation only', async () => {
    const path = cachePath()
    const { cache } = openCache(path)
    for (const document of [one, two]) await cache.write(document)
    fs.unlinkSync(path)
    expect(await cache.fresh(1000)).toBeUndefined()
    expect(cache.read().map(textOf)).toEqual(['one'])
  })
})

describe('writing', () => {
  test('the newest document again leaves the one before in its place', async () => {
    const { cache } = openCache(cachePath())
    for (const document of [one, two]) await cache.write(document)
    await cache.write({ ...two, tag: undefined })
    expect(cache.read()).toMatchObject([{ sha1: two.sha1, tag: undefined }, { sha1: one.sha1 }])
  })

  test('puts no damaged file in the place of the generation before', async () => {
    const path = cachePath()
    for (const document of [one, two]) await openCache(path).cache.write(document)
    fs.truncateSync(path, 50)
    await openCache(path).cache.write(three)
    expect(openCache(path).cache.read().map(textOf)).toEqual(['three', 'one'])
  })

  test('takes no document that it could not give back', async () => {
    const { cache, reports } = openCache(cachePath(), undefined, 3)
    expect(await cache.write(one)).toBe(true)
    expect(await cache.write(three)).toBe(false)
    expect(reports.map(({ message }) => message)).toEqual(['the cache takes 3 bytes at most, got 5'])
    expect(cache.read().map(textOf)).toEqual(['one'])
  })

  test('stores a document without the tag where that is of absurd length', async () => {
    const { cache, reports } = openCache(cachePath())
    const tag = 'x'.repeat(5000)
    expect(await cache.write({ ...one, tag })).toBe(true)
    expect(cache.read()[0]?.tag).toBeUndefined()
    const before = cache.read()[0]?.bytes
    await cache.touch(one.sha1, tag)
    expect(cache.read()[0]?.bytes).toBe(before)
    expect(reports).toEqual([])
  })

  test('replaces nothing with what was asked for sooner, by whichever process', async () => {
    const path = cachePath()
    const [first, second] = [openCache(path).cache, openCache(path).cache]
    const [old, recent, newer] = [askedAgo(1000), askedAgo(990), askedAgo(980)]
    expect(await second.write(storable('new', 2), recent)).toBe(true)
    expect(await first.write(storable('old', 1), old)).toBe(false)
    expect(textOf(openCache(path).cache.read()[0])).toBe('new')
    expect(first.read()[0]?.asked).toEqual(recent)
    expect(await first.write(storable('newer', 3), newer)).toBe(true)
  })

  test('replaces what claims to be of the future', async () => {
    const path = cachePath()
    const { cache } = openCache(path)
    expect(await cache.write(storable('ahead', 1), askedAgo(-3_600_000))).toBe(true)
    expect(await cache.write(storable('now', 2))).toBe(true)
  })

  test('replaces nothing with what was asked for before somebody else had the lock, and asked', async () => {
    const path = cachePath()
    const [{ cache: slow }, { cache: next }] = [openCache(path), openCache(path)]
    const { signal } = new AbortController()
    const give_back = await slow.lock({ max_age_ms: 0, stale_ms: 60_000, signal })
    const asked = askedAgo(100)
    // To the other one the holder has had it for too long.
    const give_back_too = await next.lock({ max_age_ms: 0, stale_ms: -1, signal })
    expect(await next.write(two)).toBe(true)
    expect(await slow.write(one, asked)).toBe(false)
    expect(await slow.touch(one.sha1, one.tag, asked)).toBe(false)
    give_back?.()
    expect(names(path)).toContain(`${basename(path)}.lock`)
    give_back_too?.()
    expect(await slow.write(one)).toBe(true)
  })
})

describe('touching', () => {
  test('gives the document another tag, and keeps the generation before', async () => {
    const path = cachePath()
    const { cache } = openCache(path)
    for (const document of [one, two]) await cache.write(document)
    await cache.touch(two.sha1, '"two, renamed"')
    expect(openCache(path).cache.read()).toMatchObject([{ sha1: two.sha1, tag: '"two, renamed"' }, { sha1: one.sha1 }])
    await cache.touch(two.sha1, undefined)
    expect(openCache(path).cache.read()[0]?.tag).toBeUndefined()
  })

  test('changes nothing when the newest generation is another document', async () => {
    const { cache } = openCache(cachePath())
    for (const document of [one, two]) await cache.write(document)
    const before = await cache.fresh(60_000)
    expect(await cache.touch(one.sha1, '"x"')).toBe(false)
    expect(await cache.touch(three.sha1, '"x"')).toBe(false)
    expect(await cache.fresh(60_000)).toBe(before)
  })

  test('writes what the disk did not take before', async () => {
    const path = cachePath()
    const disk = { ...fs, fsync: fs.fsync }
    const { cache, reports } = openCache(path, disk)
    await cache.write(one)
    disk.fsync = failing('ENOSPC') as unknown as typeof fs.fsync
    expect(await cache.write(two)).toBe(false)
    await cache.touch(two.sha1, two.tag)
    expect(reports).toHaveLength(1)
    disk.fsync = fs.fsync
    await cache.touch(two.sha1, two.tag)
    expect(openCache(path).cache.read().map(textOf)).toEqual(['two', 'one'])
  })

  test.each(['written', 'found fresh', 'read at the start'])(
    'puts back what was deleted after it was %s',
    async (how) => {
      const path = cachePath()
      const { cache } = openCache(path)
      if (how === 'written') await cache.write(one)
      else await openCache(path).cache.write(one)
      if (how === 'found fresh') await cache.fresh(60_000)
      if (how === 'read at the start') cache.read()
      fs.rmSync(dirname(path), { recursive: true })
      await cache.touch(one.sha1, '"later"')
      expect(openCache(path).cache.read()).toMatchObject([{ sha1: one.sha1, tag: '"later"', version: 1 }])
    },
  )
})

describe('the lock', () => {
  const { signal } = new AbortController()
  const options = { max_age_ms: 1000, stale_ms: 60_000, signal }

  test('is given at once where it is free', async () => {
    const path = cachePath()
    const release = await openCache(path).cache.lock(options)
    expect(names(path)).toEqual([`${basename(path)}.lock`])
    expect(fs.statSync(`${path}.lock`).mode & 0o777).toBe(0o600)
    release?.()
    release?.()
    expect(names(path)).toEqual([])
  })

  test('is not needed where the newest generation is fresh', async () => {
    const path = cachePath()
    const { cache } = openCache(path)
    await cache.write(one)
    expect(await cache.lock(options)).toBeUndefined()
    expect(names(path)).toEqual([basename(path)])
    expect(await cache.lock({ ...options, max_age_ms: 0 })).toBeTypeOf('function')
  })

  test('is given to one after the other', async () => {
    const path = cachePath()
    const order: string[] = []
    const take = async (name: string) => {
      const release = await openCache(path).cache.lock(options)
      order.push(`${name} begins`)
      await new Promise((resolve) => setTimeout(resolve, 20))
      order.push(`${name} ends`)
      release?.()
    }
    await Promise.all(['a', 'b', 'c'].map(take))
    expect(order.filter((_, index) => index % 2 === 0).map((entry) => entry[0])).toEqual(
      order.filter((_, index) => index % 2 === 1).map((entry) => entry[0]),
    )
    expect(order).toHaveLength(6)
  })

  test('is no longer needed once the holder has written what it fetched', async () => {
    const path = cachePath()
    const [{ cache }, { cache: waiting }] = [openCache(path), openCache(path)]
    const release = await cache.lock(options)
    const waited = waiting.lock(options)
    await cache.write(one)
    expect(await waited).toBeUndefined()
    expect(textOf(await waiting.fresh(1000))).toBe('one')
    release?.()
  })

  test('is given back unused where the one before has written between two looks', async () => {
    const path = cachePath()
    const openSync = ((...of: Parameters<typeof fs.openSync>) => {
      if (String(of[0]).endsWith('.lock') && of[1] === 'wx') {
        fs.writeFileSync(path, encodeDocument(one), { mode: 0o600 })
      }
      return fs.openSync(...of)
    }) as typeof fs.openSync
    const { cache } = openCache(path, { ...fs, openSync })
    expect(await cache.lock(options)).toBeUndefined()
    expect(names(path)).toEqual([basename(path)])
  })

  test('is waited for until the signal aborts, and not at all after that', async () => {
    const path = cachePath()
    await openCache(path).cache.lock(options)
    const aborting = new AbortController()
    const { cache } = openCache(path)
    const waited = cache.lock({ ...options, signal: aborting.signal })
    aborting.abort()
    expect(await waited).toBeUndefined()
    expect(await cache.lock({ ...options, signal: aborting.signal })).toBeUndefined()
  })

  test.each([
    ['that hangs', () => JSON.stringify({ ...identifyThisProcess(), token: 'x' })],
    ['that was killed before it could write its name', () => ''],
  ])('of a process %s is taken when that has had it for too long', async (_what, content) => {
    const path = cachePath()
    fs.writeFileSync(`${path}.lock`, content(), { mode: 0o600 })
    expect(await openCache(path).cache.lock({ ...options, stale_ms: 100 })).toBeTypeOf('function')
  })
})

describe('a disk that refuses', () => {
  const { signal } = new AbortController()
  const options = { max_age_ms: 1000, stale_ms: 1000, signal }

  test('is reported once, whatever is tried with it and how often', async () => {
    const openSync = ((...of: Parameters<typeof fs.openSync>) =>
      of[1] === 'wx' ? failing('EROFS')() : fs.openSync(...of)) as typeof fs.openSync
    const { cache, reports } = openCache(cachePath(), { ...fs, openSync })
    for (let turn = 0; turn < 3; turn += 1) {
      const release = await cache.lock(options)
      expect(await cache.write(one)).toBe(false)
      await cache.touch(one.sha1, '"x"')
      await cache.note_version(5)
      release?.()
    }
    expect(reports.map(({ message }) => message)).toEqual([
      expect.stringMatching(/^the cache at .*plugins\.cache cannot be written: EROFS: it does not work$/),
    ])
    expect(reports[0]?.cause).toBeInstanceOf(Error)
  })

  test('that takes a lock but no name in it leaves no lock behind', async () => {
    const path = cachePath()
    const { cache, reports } = openCache(path, { ...fs, writeSync: failing('ENOSPC') })
    expect(await cache.lock(options)).toBeTypeOf('function')
    expect(names(path)).toEqual([])
    expect(reports).toHaveLength(1)
  })

  test.each([
    ['is a file', (file: string) => join(file, 'plugins.cache'), 'is not a folder'],
    ['is below a file', (file: string) => join(file, 'a', 'plugins.cache'), 'cannot be written: ENOTDIR'],
  ])('stops nothing where the folder %s', async (_what, pathOf, reason) => {
    const file = cachePath()
    fs.writeFileSync(file, '')
    const { cache, reports } = openCache(pathOf(file))
    for (let turn = 0; turn < 3; turn += 1) {
      expect([cache.read(), await cache.fresh(1000), await cache.write(one)]).toEqual([[], undefined, false])
      expect(cache.highest_version()).toBeUndefined()
      await cache.note_version(1)
      expect(await cache.lock(options)).toBeTypeOf('function')
    }
    expect(reports.map(({ message }) => message)).toEqual([expect.stringContaining(reason)])
  })
})

describe('closing', () => {
  const { signal } = new AbortController()
  const options = { max_age_ms: 0, stale_ms: 60_000, signal }

  test('gives the lock back, and ends the waiting', async () => {
    const path = cachePath()
    const [{ cache }, { cache: other }] = [openCache(path), openCache(path)]
    const release = await cache.lock(options)
    const waited = other.lock(options)
    void other.close()
    expect(await waited).toBeUndefined()
    void cache.close()
    expect(names(path)).toEqual([])
    release?.()
  })

  test('is the end of reading and writing', async () => {
    const path = cachePath()
    const { cache, reports } = openCache(path)
    await cache.write(one)
    await cache.close()
    await cache.close()
    const before = names(path)
    await cache.touch(one.sha1, '"x"')
    await cache.note_version(5)
    expect([
      await cache.write(two),
      await cache.fresh(1e9),
      cache.highest_version(),
      await cache.lock(options),
    ]).toEqual([false, undefined, undefined, undefined])
    expect(names(path)).toEqual(before)
    expect(openCache(path).cache.read()[0]?.tag).toBe('"1"')
    expect(reports).toEqual([])
  })
})

test('the highest version is kept beside the generations, and goes with none of them', async () => {
  const path = cachePath()
  const { cache } = openCache(path)
  await cache.note_version(7)
  await cache.note_version(6)
  for (const name of names(path).filter((each) => !each.includes('version'))) fs.unlinkSync(join(dirname(path), name))
  expect(openCache(path).cache.highest_version()).toBe(7)
})

test('opening makes the folder and sweeps what killed processes left in it', async () => {
  const path = join(dirname(cachePath()), 'deep', 'plugins.cache')
  openCache(path)
  expect(fs.statSync(dirname(path)).mode & 0o777).toBe(0o700)
  fs.writeFileSync(`${path}.${identifyThisProcess().machine}-${NO_PROCESS}-0123456789ab.tmp`, 'half')
  openCache(path)
  expect(names(path)).toEqual([])
})
