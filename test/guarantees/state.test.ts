import { fork, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { build } from 'esbuild'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Cache, createCache } from '../../lib/background/cache.ts'
import { DISK, type Disk } from '../../lib/background/cache-file.ts'
import type { DynacodeError } from '../../lib/errors.ts'

const folder = mkdtempSync(join(tmpdir(), 'dynacode-state-'))
const writer = join(folder, 'writer.mjs')
const isRoot = process.getuid?.() === 0

beforeAll(async () => {
  // Plain JavaScript starts in a tenth of the time, and there are many to start.
  const entry = new URL('cache-writer.ts', import.meta.url).pathname
  await build({
    entryPoints: [entry],
    outfile: writer,
    bundle: true,
    platform: 'node',
    format: 'esm',
    logLevel: 'silent',
  })
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

function open(path: string, disk?: Disk): { cache: Cache; reports: DynacodeError[] } {
  const reports: DynacodeError[] = []
  const cache = createCache({
    path,
    max_bytes: 2 ** 24,
    report: (error) => reports.push(error),
    ...(disk ? { disk } : {}),
  })
  return { cache, reports }
}

function document(text: string, version: number) {
  const bytes = Buffer.from(text)
  return { bytes, tag: `"${version}"`, version, sha1: createHash('sha1').update(bytes).digest('hex') }
}

function freshPath(name: string): string {
  return join(mkdtempSync(join(folder, `${name}-`)), 'dynacode.cache')
}

describe('G01 a kill in the midst of a cache write', () => {
  const KILLS = 500

  it(`G01 leaves the old or the new document whole, ${KILLS} times`, async () => {
    const seen = new Map<string, number>()
    async function killOnce(path: string): Promise<void> {
      const child = fork(writer, [path], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
      await new Promise((resolve) => child.once('message', resolve))
      await sleep(Math.random() * 8)
      const dead = new Promise((resolve) => child.once('exit', resolve))
      child.kill('SIGKILL')
      await dead
      const { cache, reports } = open(path)
      const [newest, before] = cache.read()
      expect(reports).toEqual([])
      for (const entry of [newest, before]) {
        const text = Buffer.from(entry?.bytes ?? []).toString()
        expect(['a'.repeat(60_000), 'b'.repeat(60_000)]).toContain(text)
        expect(entry?.tag).toBe(`"${text[0]}"`)
        expect(entry?.version).toBe(text[0])
      }
      seen.set(String(newest?.version), (seen.get(String(newest?.version)) ?? 0) + 1)
    }
    async function killMany(path: string, times: number): Promise<void> {
      for (let turn = 0; turn < times; turn += 1) await killOnce(path)
    }
    await Promise.all(Array.from({ length: 4 }, (_, index) => killMany(freshPath(`kill${index}`), KILLS / 4)))
    expect([...seen.values()].reduce((sum, count) => sum + count, 0)).toBe(KILLS)
    // Had the kills all come at one point of the write, one of the two would be missing.
    expect([...seen.keys()].sort()).toEqual(['a', 'b'])
  }, 240_000)
})

it('G02 writes a temporary file, syncs it, renames it, and syncs the folder, in that order', () => {
  const steps: string[] = []
  const names = new Map<number, string>()
  const spy: Disk = {
    ...DISK,
    open(path, flags, mode) {
      const file = DISK.open(path, flags, mode)
      names.set(file, path.endsWith('.tmp') ? 'temporary' : 'folder')
      steps.push(`open ${names.get(file)}`)
      return file
    },
    sync(file) {
      steps.push(`sync ${names.get(file)}`)
      DISK.sync(file)
    },
    rename(from, to) {
      steps.push(`rename to ${to.endsWith('.previous') ? 'previous' : 'newest'}`)
      DISK.rename(from, to)
    },
  }
  const { cache } = open(freshPath('order'), spy)
  expect(cache.write(document('one', 1))).toBe(true)
  expect(steps).toEqual(['open temporary', 'sync temporary', 'rename to newest', 'open folder', 'sync folder'])
  steps.length = 0
  cache.write(document('two', 2))
  expect(steps).toEqual([
    'open temporary',
    'sync temporary',
    'rename to previous',
    'rename to newest',
    'open folder',
    'sync folder',
  ])
})

describe('G03 processes that share a cache', () => {
  it('G03 never read a torn file while eight others write it, and leave no temporary file that stays', async () => {
    const path = freshPath('eight')
    const children = Array.from({ length: 8 }, () =>
      fork(writer, [path], { stdio: ['ignore', 'ignore', 'ignore', 'ipc'] }),
    )
    await Promise.all(children.map((child) => new Promise((resolve) => child.once('message', resolve))))
    const { cache, reports } = open(path)
    const versions = new Set<unknown>()
    for (let reads = 0; reads < 400; reads += 1) {
      const entry = cache.read()[0]
      const bytes = Buffer.from(entry?.bytes ?? [])
      expect(bytes.length).toBe(60_000)
      expect(bytes.every((byte) => byte === bytes[0])).toBe(true)
      versions.add(entry?.version)
      if (reads % 20 === 0) await sleep(1)
    }
    expect(reports).toEqual([])
    const dead = children.map((child) => new Promise((resolve) => child.once('exit', resolve)))
    for (const child of children) child.kill('SIGKILL')
    await Promise.all(dead)
    open(path)
    expect(readdirSync(join(path, '..')).filter((name) => name.endsWith('.tmp'))).toEqual([])
  }, 60_000)

  it('G03 gives the right to fetch to one at a time, and to the next when its holder is killed', async () => {
    const path = freshPath('lock')
    const { cache } = open(path)
    const { signal } = new AbortController()
    const options = { max_age_ms: 0, stale_ms: 60_000, signal }
    const release = await cache.lock(options)
    let second = false
    const waiting = cache.lock(options).then((given) => {
      second = true
      return given
    })
    await sleep(150)
    expect(second).toBe(false)
    release?.()
    const given = await waiting
    given?.()
    // A process that took it and is gone: the number of one that has ended.
    const { pid } = spawnSync(process.execPath, ['-e', ''])
    writeFileSync(`${path}.lock`, `${pid} 1 abc`)
    expect(await cache.lock(options)).toBeTypeOf('function')
  })

  it('G03 spares a process its fetch that finds one just done', async () => {
    const { cache } = open(freshPath('spared'))
    cache.write(document('one', 1))
    const { signal } = new AbortController()
    expect(await cache.lock({ max_age_ms: 10_000, stale_ms: 1000, signal })).toBeUndefined()
    expect(cache.fresh(10_000)?.version).toBe(1)
  })
})

describe('G04 a damaged cache file', () => {
  const flip = (content: Buffer) => {
    content[content.length - 5] = (content[content.length - 5] as number) ^ 1
    return content
  }
  const damages: readonly (readonly [string, (content: Buffer) => Buffer])[] = [
    ['truncated', (content) => content.subarray(0, content.length / 2)],
    ['bit-flipped', flip],
    ['empty', () => Buffer.alloc(0)],
    ['foreign', () => Buffer.from('#!/bin/sh\necho hello\n')],
    ['of another format', () => Buffer.from('{"dynacode":99}\n{}')],
  ]

  it.each(damages)('G04 %s: is set aside, said so once, and the generation before it is used', (_name, damage) => {
    const path = freshPath('damaged')
    const writing = open(path).cache
    writing.write(document('{"old":1}', 1))
    writing.write(document('{"new":2}', 2))
    writeFileSync(path, damage(readFileSync(path)))
    const { cache, reports } = open(path)
    expect(cache.read().map(({ version }) => version)).toEqual([1])
    expect(cache.read().map(({ version }) => version)).toEqual([1])
    expect(reports.map(({ code }) => code)).toEqual(['ERR_DYNACODE_CACHE'])
    expect(reports[0]?.message).toContain(path)
    expect(readdirSync(join(path, '..')).sort()).toEqual(['dynacode.cache.damaged', 'dynacode.cache.previous'])
    // And the cache works on.
    expect(cache.write(document('{"third":3}', 3))).toBe(true)
    expect(cache.read()[0]?.version).toBe(3)
  })
})

describe('G05 a disk that refuses', () => {
  const refusing = (code: string, only: { on: boolean }): Disk => ({
    ...DISK,
    write(file, bytes, from) {
      if (only.on) throw Object.assign(new Error(`${code}: no`), { code })
      return DISK.write(file, bytes, from)
    },
  })

  it.each(['ENOSPC', 'EROFS', 'EACCES'])('G05 %s: is reported once per change, not once per write', (code) => {
    const broken = { on: true }
    const { cache, reports } = open(freshPath('full'), refusing(code, broken))
    for (let turn = 0; turn < 5; turn += 1) expect(cache.write(document('one', 1))).toBe(false)
    expect(reports).toHaveLength(1)
    expect(reports[0]?.message).toContain(code)
    broken.on = false
    expect(cache.write(document('one', 1))).toBe(true)
    broken.on = true
    expect(cache.write(document('two', 2))).toBe(false)
    expect(reports).toHaveLength(2)
    expect(cache.read()[0]?.version).toBe(1)
  })

  it('G05 a folder that cannot be made: everything goes on without a cache', async () => {
    const file = join(folder, 'a-file')
    writeFileSync(file, '')
    const { cache, reports } = open(join(file, 'dynacode.cache'))
    expect(cache.read()).toEqual([])
    expect(cache.write(document('one', 1))).toBe(false)
    const { signal } = new AbortController()
    expect(await cache.lock({ max_age_ms: 1000, stale_ms: 1000, signal })).toBeTypeOf('function')
    const before = reports.length
    for (let turn = 0; turn < 3; turn += 1) cache.write(document('one', 1))
    expect(reports.length).toBe(before)
  })
})

describe('G06 who may touch the cache', () => {
  it('G06 the file is for its owner alone', () => {
    const path = freshPath('mode')
    open(path).cache.write(document('one', 1))
    expect(spawnSync('stat', ['-c', '%a', path]).stdout.toString().trim()).toBe('600')
  })

  it('G06 a symbolic link is refused', () => {
    const path = freshPath('link')
    const target = `${path}.elsewhere`
    open(target).cache.write(document('one', 1))
    symlinkSync(target, path)
    const { cache, reports } = open(path)
    expect(cache.read()).toEqual([])
    expect(cache.write(document('two', 2))).toBe(false)
    expect(reports.map(({ message }) => message).join()).toContain('symbolic link')
  })

  it('G06 a folder that everybody may write to is refused, unless it is sticky', () => {
    const path = freshPath('world')
    open(path).cache.write(document('one', 1))
    chmodSync(join(path, '..'), 0o777)
    const { cache, reports } = open(path)
    expect(cache.read()).toEqual([])
    expect(reports[0]?.message).toContain('everybody may write')
    chmodSync(join(path, '..'), 0o1777)
    expect(open(path).cache.read()).toHaveLength(1)
  })

  it.runIf(isRoot)("G06 another user's file is refused", () => {
    const path = freshPath('owner')
    open(path).cache.write(document('one', 1))
    expect(spawnSync('chown', ['65534', path]).status).toBe(0)
    const { cache, reports } = open(path)
    expect(cache.read()).toEqual([])
    expect(reports[0]?.message).toContain('belongs to user 65534')
  })

  it('G06 a folder of its own is made for it, for its owner alone', () => {
    const path = join(mkdtempSync(join(folder, 'made-')), 'deep', 'dynacode.cache')
    open(path)
    expect(
      spawnSync('stat', ['-c', '%a', join(path, '..')])
        .stdout.toString()
        .trim(),
    ).toBe('700')
  })
})

it('G08 ETag, bytes and version are one file, and a new ETag takes nothing else with it', () => {
  const path = freshPath('one')
  const { cache } = open(path)
  cache.write(document('one', 1))
  cache.touch(document('one', 1).sha1, '"other"')
  const [entry] = open(path).cache.read()
  expect(entry).toMatchObject({ tag: '"other"', version: 1, sha1: document('one', 1).sha1 })
  expect(Buffer.from(entry?.bytes ?? []).toString()).toBe('one')
  // A tag for other bytes than these is not theirs.
  cache.touch(document('two', 2).sha1, '"two"')
  expect(open(path).cache.read()[0]?.tag).toBe('"other"')
})
