import { type ChildProcess, fork, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import fs from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { build } from 'esbuild'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import type { CacheEntry } from '../../lib/background/cache/disk.ts'
import { identifyThisProcess } from '../../lib/background/cache/process-identity.ts'
import { cachePath, encodeDocument, openCache, storable, textOf } from '../fixtures/cache.ts'

const isRoot = process.geteuid?.() === 0
const scripts = fs.mkdtempSync(join(tmpdir(), 'dynacode-state-'))
const [one, two, three] = [storable('one', 1), storable('two', 2), storable('three', 3)]
const names = (path: string) => fs.readdirSync(dirname(path)).sort()

beforeAll(async () => {
  // Plain JavaScript starts in a tenth of the time, and there are many to start.
  const urls = [
    new URL('cache-writer.ts', import.meta.url),
    new URL('cache-sharer.ts', import.meta.url),
    new URL('cache-refused.ts', import.meta.url),
  ]
  const entryPoints = urls.map(({ pathname }) => pathname)
  const outExtension = { '.js': '.mjs' }
  await build({ entryPoints, outdir: scripts, outExtension, bundle: true, platform: 'node', format: 'esm' })
  // A process of another user has to reach them, too.
  fs.chmodSync(scripts, 0o755)
})
afterAll(() => fs.rmSync(scripts, { recursive: true, force: true }))

const scriptOf = (name: string) => join(scripts, `cache-${name}.mjs`)

function run(name: string, parameters: readonly (string | number)[]): ChildProcess {
  const child = fork(scriptOf(name), parameters.map(String), { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  onTestFinished(() => void child.kill('SIGKILL'))
  return child
}

/** Starts a process that writes, and returns once it does so. */
async function startWriter(path: string): Promise<ChildProcess> {
  const child = run('writer', [path])
  await once(child, 'message')
  return child
}

/** A document of the writer's, and no other, with the tag and the version that belong to it. */
function expectWhole(entry: CacheEntry): void {
  const { bytes, tag, version } = entry
  expect(tag).toBe(`"${version}"`)
  expect(Buffer.from(bytes).equals(Buffer.alloc(60_000, `${version},`))).toBe(true)
}

async function kill(child: ChildProcess): Promise<void> {
  const exit = once(child, 'exit')
  child.kill('SIGKILL')
  await exit
}

describe('G01 a kill in the midst of a cache write', () => {
  const KILLS = 500
  const LINES = 4

  test(`G01 leaves the old or the new document whole, ${KILLS} times`, async () => {
    const newest = new Map<string, number>()
    let [kills, temporaries] = [0, 0]

    async function killOnce(path: string): Promise<void> {
      const child = await startWriter(path)
      await sleep(Math.random() * 8)
      await kill(child)
      temporaries += names(path).filter((name) => name.endsWith('.tmp')).length
      const { cache, reports } = openCache(path)
      const generations = await cache.read()
      cache.close()
      expect(reports).toEqual([])
      for (const entry of generations) expectWhole(entry)
      const [version, before] = generations.map((entry) => Number(entry.version)) as [number, number]
      // Killed before the last name is given, it leaves the newest and the one two before.
      expect([1, 2]).toContain(version - before)
      expect(version).toBeGreaterThan(newest.get(path) ?? 0)
      newest.set(path, version)
      kills += 1
    }

    const paths = Array.from({ length: LINES }, cachePath)
    await Promise.all(
      paths.map(async (path) => {
        for (let turn = 0; turn < KILLS / LINES; turn += 1) await killOnce(path)
        expect(names(path).filter((name) => name.endsWith('.tmp'))).toEqual([])
      }),
    )
    expect(kills).toBe(KILLS)
    // Some did come in the midst of a write.
    expect(temporaries).toBeGreaterThan(0)
  }, 240_000)
})

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

describe('G03 eight processes that share a cache', () => {
  const eight = <T>(make: (index: number) => Promise<T>) =>
    Promise.all(Array.from({ length: 8 }, (_, index) => make(index)))

  test('G03 never read a torn file while all of them write, and leave no temporary file that stays', async () => {
    const path = cachePath()
    const children = await eight(() => startWriter(path))
    const { cache, reports } = openCache(path)
    const seen = new Set<unknown>()
    for (let reads = 0; reads < 400; reads += 1) {
      const generations = await cache.read()
      expect(generations).not.toEqual([])
      for (const entry of generations) expectWhole(entry)
      seen.add(generations[0]?.version)
      if (reads % 20 === 0) await sleep(1)
    }
    expect(reports).toEqual([])
    expect(seen.size).toBeGreaterThan(1)
    await Promise.all(children.map(kill))
    openCache(path)
    expect(names(path).filter((name) => name.endsWith('.tmp'))).toEqual([])
  }, 60_000)

  test('G03 fetch once an interval between them, also when those that fetch are killed', async () => {
    const [path, log] = [cachePath(), cachePath()]
    const MAX_AGE_MS = 100
    const RUN_MS = 4000
    const end_at = Date.now() + RUN_MS
    await eight(async () => {
      // As a supervisor does: a process that died is started again.
      while (Date.now() < end_at) {
        const child = run('sharer', [path, log, MAX_AGE_MS, end_at - Date.now(), 0.3])
        await once(child, 'exit')
      }
    })

    interface Note {
      what: 'begin' | 'end' | 'die' | 'served' | 'error'
      about: number | string
      pid: number
      at: number
    }
    const notes = fs
      .readFileSync(log, 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Note)
    const count = (what: Note['what']) => notes.filter((note) => note.what === what).length
    expect(notes.filter(({ what }) => what === 'error')).toEqual([])

    let fetching: number | undefined
    let due_at = 0
    for (const { what, about, pid, at } of notes) {
      if (what === 'begin') {
        expect(fetching).toBeUndefined()
        expect(at).toBeGreaterThanOrEqual(due_at)
        fetching = pid
      } else if (what === 'end' || what === 'die') {
        expect(fetching).toBe(pid)
        fetching = undefined
        if (what === 'end') due_at = Number(about) + MAX_AGE_MS
      }
    }
    expect(count('die')).toBeGreaterThan(0)
    expect(count('end')).toBeGreaterThan(1)
    expect(count('served')).toBeGreaterThan(0)
  }, 60_000)
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
    ['of another format', () => Buffer.from('{"dynacode_cache":99}\n{}')],
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
      for (let turn = 0; turn < 2; turn += 1) expect((await cache.read()).map(textOf)).toEqual(['two'])
      expect(reports.map(({ code }) => code)).toEqual(['ERR_DYNACODE_CACHE'])
      expect(reports[0]?.message).toContain(`the cache's file ${path} is damaged`)
      expect(names(path)).toEqual(['plugins.cache.damaged', 'plugins.cache.previous'])
      // And the cache works on.
      expect(await cache.write(three)).toBe(true)
      expect((await cache.read()).map(textOf)).toEqual(['three', 'two'])
    },
  )

  test('G04 in both generations: the start succeeds without them, and each is reported', async () => {
    const path = cachePath()
    const writing = openCache(path).cache
    for (const document of [two, one]) await writing.write(document)
    for (const file of [path, `${path}.previous`]) fs.writeFileSync(file, 'x')
    const { cache, reports } = openCache(path)
    expect(await cache.read()).toEqual([])
    expect(reports).toHaveLength(2)
    expect(names(path)).toEqual(['plugins.cache.damaged'])
  })
})

describe('G05 a disk that refuses', () => {
  /** Runs a process that polls; `limit` bounds the size of its files, in KiB: to it, the disk is full at that point. */
  function poll(path: string, { limit, uid }: { limit?: number; uid?: number } = {}) {
    const command = `${limit === undefined ? '' : `ulimit -f ${limit}; `}exec "$0" "$@"`
    const parameters = [process.execPath, scriptOf('refused'), path, '5']
    // With a socket for its input, bash reads the start file of a user that this one may not be.
    const { stdout, stderr, status } = spawnSync('bash', ['--norc', '-c', command, ...parameters], {
      encoding: 'utf8',
      ...(uid === undefined ? {} : { uid, gid: uid }),
    })
    expect({ stderr, status }).toEqual({ stderr: '', status: 0 })
    return JSON.parse(stdout) as { outcomes: boolean[]; reports: string[] }
  }

  test('G05 full: what does not fit is reported once, and what was there stays', async () => {
    const path = cachePath()
    await openCache(path).cache.write(one)
    const { outcomes, reports } = poll(path, { limit: 8 })
    expect(outcomes).toEqual([false, false, false, false, false])
    expect(reports).toEqual([`ERR_DYNACODE_CACHE the cache at ${path} cannot be written: EFBIG: file too large`])
    expect((await openCache(path).cache.read()).map(textOf)).toEqual(['one'])
    expect(names(path).filter((name) => name.endsWith('.tmp'))).toEqual([])
  })

  test('G05 forbidden: a folder in which nothing may be made is reported once', async () => {
    const path = cachePath()
    // Rights don't stop root: for root, another user polls.
    fs.chmodSync(dirname(path), isRoot ? 0o755 : 0o500)
    onTestFinished(() => fs.chmodSync(dirname(path), 0o700))
    const { outcomes, reports } = poll(path, isRoot ? { uid: 65534 } : {})
    expect(outcomes).toEqual([false, false, false, false, false])
    expect(reports).toEqual([`ERR_DYNACODE_CACHE the cache at ${path} cannot be written: EACCES: permission denied`])
  })

  test('G05 a path below a file: reported once', async () => {
    const file = cachePath()
    fs.writeFileSync(file, '')
    const path = join(file, 'a', 'plugins.cache')
    expect(poll(path).reports).toEqual([
      `ERR_DYNACODE_CACHE the cache at ${path} cannot be written: ENOTDIR: not a directory`,
    ])
  })

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
    expect((await cache.read()).map(textOf)).toEqual(['one'])
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
    expect([await cache.read(), await cache.fresh(60_000), await cache.write(two)]).toEqual([[], undefined, false])
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
    expect([await cache.read(), await cache.fresh(60_000), await cache.write(two), cache.highest_version()]).toEqual([
      [],
      undefined,
      false,
      undefined,
    ])
    expect(reports.map(({ message }) => message)).toEqual([
      expect.stringContaining(`the cache's folder ${dirname(path)} is writable by everybody and not sticky`),
    ])
    fs.chmodSync(dirname(path), 0o1777)
    expect((await cache.read()).map(textOf)).toEqual(['one'])
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
        expect((await cache.read()).map(textOf)).toEqual(name === '' ? [] : ['two'])
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
    expect(Buffer.from((await openCache(path).cache.read())[0]?.bytes ?? [])).toEqual(bytes)
    expect(fs.readFileSync(path).subarray(-bytes.length)).toEqual(bytes)
  })

  test('G07 is refused when it is larger than a document may be, without being read', async () => {
    const path = cachePath()
    await openCache(path).cache.write(three)
    const { cache, reports } = openCache(path, fs, 4)
    expect(await cache.read()).toEqual([])
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
    expect([await cache.read(), await cache.fresh(60_000)]).toEqual([[], undefined])
  })

  test('G08 a new ETag takes nothing else with it, and none is given to other bytes', async () => {
    const path = cachePath()
    const { cache } = openCache(path)
    await cache.write(one)
    await cache.touch(one.sha1, '"other"')
    await cache.touch(two.sha1, '"two"')
    const [entry] = await openCache(path).cache.read()
    expect(entry).toMatchObject({ tag: '"other"', version: 1, sha1: one.sha1 })
    expect(textOf(entry)).toBe('one')
  })
})

test('G03 the lock of a process that is over is no hindrance, also when another process has its number now', async () => {
  const path = cachePath()
  const { machine } = identifyThisProcess()
  const holder = { pid: process.pid, started: '1', machine, token: 'x', at: Date.now() }
  fs.writeFileSync(`${path}.lock`, JSON.stringify(holder), { mode: 0o600 })
  const { signal } = new AbortController()
  expect(await openCache(path).cache.lock({ max_age_ms: 0, stale_ms: 600_000, signal })).toBeTypeOf('function')
})
