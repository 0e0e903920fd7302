import fs from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { identifyThisProcess } from '../../lib/background/cache/process-identity.ts'
import { bytesOf, cachePath, encodeDocument, openCache, storable, textOf } from '../fixtures/cache.ts'

const isRoot = process.geteuid?.() === 0
const [one, two, three] = [storable('one', 1), storable('two', 2), storable('three', 3)]
const names = (path: string) => fs.readdirSync(dirname(path)).sort()

describe('G02 a cache write lasts', () => {
  function watch(): { disk: typeof fs; steps: string[] } {
    const steps: string[] = []
    const opened = new Map<number, string>()
    const kindOf = (path: unknown) =>
      /\.tmp$/.test(String(path)) ? 'temporary' : (/\.(cache|previous)$/.exec(String(path))?.[1] ?? 'folder')
    const disk = {
      ...fs,
      openSync: ((...of: Parameters<typeof fs.openSync>) => {
        const fd = fs.openSync(...of)
        opened.set(fd, kindOf(of[0]))
        return fd
      }) as typeof fs.openSync,
      write: ((...of: Parameters<typeof fs.write>) => {
        steps.push(`write ${opened.get(of[0])}`)
        return fs.write(...of)
      }) as unknown as typeof fs.write,
      fsync: ((...of: Parameters<typeof fs.fsync>) => {
        steps.push(`sync ${opened.get(of[0])}`)
        fs.fsync(...of)
      }) as typeof fs.fsync,
      renameSync(from: string, to: string) {
        steps.push(`rename ${kindOf(from)} to ${kindOf(to)}`)
        fs.renameSync(from, to)
      },
    }
    return { disk: disk as typeof fs, steps }
  }

  test('G02 temporary file, sync, rename, sync of the folder, in that order', async () => {
    const { disk, steps } = watch()
    const { cache } = openCache(cachePath(), disk)
    expect(await cache.write(one)).toBe(true)
    const first = ['write temporary', 'write temporary', 'sync temporary', 'rename temporary to cache', 'sync folder']
    expect(steps).toEqual(first)
    steps.length = 0
    expect(await cache.write(two)).toBe(true)
    expect(steps).toEqual(first.toSpliced(4, 0, 'rename temporary to previous'))
  })

  test('G02 a new tag is written as durably as a new document', async () => {
    const { disk, steps } = watch()
    const { cache } = openCache(cachePath(), disk)
    await cache.write(one)
    const first = steps.splice(0)
    await cache.touch(one.sha1, '"new"')
    expect(steps).toEqual(first)
  })
})

describe('G04 a damaged cache file', () => {
  const changed = (content: Buffer, at: number) => {
    const copy = Buffer.from(content)
    copy[at] = (copy[at] as number) ^ 1
    return copy
  }
  const damages: readonly (readonly [string, (content: Buffer) => Buffer])[] = [
    ['truncated', (content) => content.subarray(0, content.length - 1)],
    ['truncated in its first line', (content) => content.subarray(0, 20)],
    ['with a bit of the document changed', (content) => changed(content, content.length - 2)],
    ['with a bit of the tag changed', (content) => changed(content, content.indexOf('etag') + 10)],
    ['with a bit of the version changed', (content) => changed(content, content.indexOf('version') + 9)],
    ['empty', () => Buffer.alloc(0)],
    ['foreign', () => Buffer.from('#!/bin/sh\necho hello\n')],
    [
      'with the document of another',
      (content) =>
        Buffer.concat([encodeDocument(two).subarray(0, -two.bytes.length), content.subarray(-one.bytes.length)]),
    ],
  ]

  test.each(damages)(
    'G04 %s: is set aside, reported once, and the generation before it is used',
    async (_name, damage) => {
      const path = cachePath()
      const writing = openCache(path).cache
      for (const document of [two, one]) await writing.write(document)
      fs.writeFileSync(path, damage(fs.readFileSync(path)))
      const { cache, reports } = openCache(path)
      for (let turn = 0; turn < 2; turn += 1) expect(cache.read().map(textOf)).toEqual(['two'])
      expect(reports.map(({ code }) => code)).toEqual(['ERR_DYNACODE_CACHE'])
      expect(reports[0]?.message).toContain(`the cache's file ${path} is damaged`)
      expect(names(path)).toEqual(['plugins.cache.damaged', 'plugins.cache.previous'])
      // And the cache works on.
      expect(await cache.write(three)).toBe(true)
      expect(cache.read().map(textOf)).toEqual(['three', 'two'])
    },
  )

  test.each([
    ['of another version of dynacode', () => Buffer.from('{"dynacode_cache":99}\n{}'), 2 ** 24],
    ['larger than this process takes', (content: Buffer) => content, 2],
  ])('G04 one that is %s is none: it is left alone, for others', async (_name, change, max_bytes) => {
    const path = cachePath()
    const writing = openCache(path).cache
    for (const document of [two, one]) await writing.write(document)
    fs.writeFileSync(path, change(fs.readFileSync(path)))
    const before = fs.readFileSync(path)
    for (let turn = 0; turn < 2; turn += 1) {
      const { cache, reports } = openCache(path, fs, max_bytes)
      cache.read()
      for (let look = 0; look < 3; look += 1) expect(await cache.fresh(60_000)).toBeUndefined()
      expect(reports[0]?.message).toContain(`the cache's file ${path} is not used`)
    }
    expect(fs.readFileSync(path).equals(before)).toBe(true)
    expect(names(path)).toEqual(['plugins.cache', 'plugins.cache.previous'])
  })

  test('G04 in both generations: the start succeeds without them, and each is reported', async () => {
    const path = cachePath()
    const writing = openCache(path).cache
    for (const document of [two, one]) await writing.write(document)
    for (const file of [path, `${path}.previous`]) fs.writeFileSync(file, 'x')
    const { cache, reports } = openCache(path)
    expect(cache.read()).toEqual([])
    expect(reports).toHaveLength(2)
    expect(names(path)).toEqual(['plugins.cache.damaged'])
  })
})

describe('G05 a disk that refuses', () => {
  test.each(['ENOSPC', 'EROFS', 'EDQUOT', 'EIO'])('G05 %s: reported again once it was over', async (code) => {
    const refuse = () => {
      throw Object.assign(new Error(`${code}: no, open '/tmp/${Math.random()}'`), { code })
    }
    const disk = { ...fs, fsync: refuse as unknown as typeof fs.fsync }
    const { cache, reports } = openCache(cachePath(), disk)
    for (let turn = 0; turn < 5; turn += 1) expect(await cache.write(one)).toBe(false)
    expect(reports).toHaveLength(1)
    expect(reports[0]?.message).toContain(code)
    disk.fsync = fs.fsync
    expect(await cache.write(one)).toBe(true)
    disk.fsync = refuse as unknown as typeof fs.fsync
    for (let turn = 0; turn < 5; turn += 1) expect(await cache.write(two)).toBe(false)
    expect(reports).toHaveLength(2)
    expect(cache.read().map(textOf)).toEqual(['one'])
  })
})

describe('G06 who may touch the cache', () => {
  test('G06 its files are for their owner alone, whatever the umask is', async () => {
    const path = cachePath()
    const before = process.umask(0)
    try {
      const { cache } = openCache(path)
      for (const document of [one, two]) await cache.write(document)
      await cache.touch(two.sha1, '"x"')
      await cache.note_version(2)
    } finally {
      process.umask(before)
    }
    const modes = names(path).map((name) => [name, fs.statSync(join(dirname(path), name)).mode & 0o777])
    expect(modes).toEqual([
      ['plugins.cache', 0o600],
      ['plugins.cache.previous', 0o600],
      ['plugins.cache.version-2', 0o600],
    ])
  })

  test('G06 a symbolic link is refused, and what it leads to is left alone', async () => {
    const path = cachePath()
    const target = `${path}.elsewhere`
    await openCache(target).cache.write(one)
    fs.symlinkSync(target, path)
    const before = fs.readFileSync(target)
    const { cache, reports } = openCache(path)
    expect([cache.read(), await cache.fresh(60_000), await cache.write(two)]).toEqual([[], undefined, false])
    await cache.touch(one.sha1, '"x"')
    expect(reports.map(({ message }) => message)).toEqual([
      `the cache's file ${path} is a symbolic link; it is not used`,
    ])
    expect(fs.readFileSync(target)).toEqual(before)
    expect(fs.readlinkSync(path)).toBe(target)
  })

  test('G06 a folder that everybody may write to is refused, unless it is sticky', async () => {
    const path = cachePath()
    await openCache(path).cache.write(one)
    fs.chmodSync(dirname(path), 0o777)
    const { cache, reports } = openCache(path)
    expect([cache.read(), await cache.fresh(60_000), await cache.write(two), cache.highest_version()]).toEqual([
      [],
      undefined,
      false,
      undefined,
    ])
    expect(reports.map(({ message }) => message)).toEqual([
      expect.stringContaining(`the cache's folder ${dirname(path)} is writable by everybody and not sticky`),
    ])
    fs.chmodSync(dirname(path), 0o1777)
    expect(cache.read().map(textOf)).toEqual(['one'])
    expect(await cache.write(two)).toBe(true)
  })

  test.runIf(isRoot)(
    "G06 another user's file is refused, and so is one in the place of the generation before",
    async () => {
      for (const name of ['', '.previous']) {
        const path = cachePath()
        const writing = openCache(path).cache
        for (const document of [one, two]) await writing.write(document)
        fs.chownSync(`${path}${name}`, 65534, 65534)
        const { cache, reports } = openCache(path)
        expect(cache.read().map(textOf)).toEqual(name === '' ? [] : ['two'])
        expect(await cache.write(three)).toBe(false)
        expect(reports.map(({ message }) => message)).toEqual([
          `the cache's file ${path}${name} belongs to user 65534, not to this process's user 0; it is not used`,
        ])
      }
    },
  )

  test('G06 a folder of its own is made for it, for its owner alone', async () => {
    const path = join(dirname(cachePath()), 'deep', 'down', 'plugins.cache')
    openCache(path)
    for (const folder of [dirname(path), dirname(dirname(path))]) expect(fs.statSync(folder).mode & 0o777).toBe(0o700)
  })
})

describe('G07 what is kept', () => {
  test('G07 is the very bytes that were received, whatever they are', async () => {
    const path = cachePath()
    const bytes = Buffer.from(Array.from({ length: 1024 }, (_, index) => index % 256))
    await openCache(path).cache.write({ ...one, bytes })
    expect(openCache(path).cache.read().map(bytesOf)).toEqual([bytes])
    expect(fs.readFileSync(path).subarray(-bytes.length)).toEqual(bytes)
  })

  test('G07 is refused when it is larger than a document may be, without being read', async () => {
    const path = cachePath()
    await openCache(path).cache.write(three)
    const { cache, reports } = openCache(path, fs, 4)
    expect(cache.read()).toEqual([])
    expect(reports[0]?.message).toContain('it has 5 bytes, expected 4 at most')
  })
})

describe('G08 ETag, bytes and version', () => {
  test('G08 are one file: none of them is there without the others', async () => {
    const path = cachePath()
    await openCache(path).cache.write(one)
    expect(names(path)).toEqual(['plugins.cache'])
    fs.unlinkSync(path)
    const { cache } = openCache(path)
    expect([cache.read(), await cache.fresh(60_000)]).toEqual([[], undefined])
  })

  test('G08 a new ETag takes nothing else with it, and none is given to other bytes', async () => {
    const path = cachePath()
    const { cache } = openCache(path)
    await cache.write(one)
    await cache.touch(one.sha1, '"other"')
    await cache.touch(two.sha1, '"two"')
    const [entry] = openCache(path).cache.read()
    expect(entry).toMatchObject({ tag: '"other"', version: 1, sha1: one.sha1 })
    expect(textOf(entry)).toBe('one')
  })
})

test('G03 the lock of a process that is over is no hindrance, also when another process has its number now', async () => {
  const path = cachePath()
  const { machine } = identifyThisProcess()
  const holder = { pid: process.pid, started: '1', machine, token: 'x' }
  fs.writeFileSync(`${path}.lock`, JSON.stringify(holder), { mode: 0o600 })
  const { signal } = new AbortController()
  expect(await openCache(path).cache.lock({ max_age_ms: 0, stale_ms: 600_000, signal })).toBeTypeOf('function')
})
