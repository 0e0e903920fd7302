import fs from 'node:fs'
import { basename, dirname } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { FileSystem } from '../../../lib/background/cache/safety.ts'
import { askedAgo, cachePath, openCache, storable, textOf } from '../../fixtures/cache.ts'

const [one, two, three] = [storable('one', 1), storable('two', 2), storable('three', 3)]
/** Of several pieces, and of two. */
const [large, medium] = [
  storable('0123456789'.repeat(400_000), 'large'),
  storable('0123456789'.repeat(110_000), 'medium'),
]
const names = (path: string) => fs.readdirSync(dirname(path)).sort()
const temporaries = (path: string) => names(path).filter((name) => name.endsWith('.tmp'))

const LONG = ['read', 'write', 'fsync'] as const
const SHORT = [
  'closeSync',
  'fstatSync',
  'futimesSync',
  'linkSync',
  'lstatSync',
  'mkdirSync',
  'openSync',
  'readdirSync',
  'readFileSync',
  'readSync',
  'renameSync',
  'statSync',
  'unlinkSync',
  'writeSync',
] as const
type Call = (typeof LONG)[number] | (typeof SHORT)[number]
type AnyCall = (...of: unknown[]) => unknown

/** The disk, of which each call is told before it is made; an error that this gives is what comes of the call. */
function watchedDisk(before: (call: Call, of: readonly unknown[]) => unknown): FileSystem {
  const disk: Record<string, unknown> = {}
  for (const name of SHORT) {
    disk[name] = (...of: unknown[]) => {
      const error = before(name, of)
      if (error instanceof Error) throw error
      return (fs[name] as AnyCall)(...of)
    }
  }
  for (const name of LONG) {
    disk[name] = (...of: unknown[]) => {
      const error = before(name, of)
      if (error instanceof Error) setImmediate(of.at(-1) as (error: Error) => void, error)
      else (fs[name] as AnyCall)(...of)
    }
  }
  return disk as unknown as FileSystem
}

/** Counts how often other work has its turn, until it is told to end. */
function startCounting(): () => number {
  let count = 0
  let timer = setImmediate(function tick() {
    count += 1
    timer = setImmediate(tick)
  })
  return () => {
    clearImmediate(timer)
    return count
  }
}

describe('a large document', () => {
  test('is written and read by calls of a megabyte at most, beside which everything else goes on', async () => {
    const path = cachePath()
    const lengths: number[] = []
    const disk = watchedDisk((call, of) => {
      if (call === 'read' || call === 'write') lengths.push(of[3] as number)
    })
    const { cache } = openCache(path, disk)
    const count = startCounting()
    expect(await cache.write(large)).toBe(true)
    const writes = lengths.length
    expect((await openCache(path, disk).cache.fresh(60_000))?.sha1).toBe(large.sha1)
    const turns = count()
    expect(writes).toBeGreaterThanOrEqual(large.bytes.length / 1_048_576)
    expect(lengths.length).toBeGreaterThan(writes + 3)
    expect(Math.max(...lengths)).toBeLessThanOrEqual(1_048_576)
    expect(turns).toBeGreaterThanOrEqual(lengths.length)
  })

  test('needs no long call that holds up the thread', async () => {
    const path = cachePath()
    const held: string[] = []
    const disk = watchedDisk((call, of) => {
      const isLong = call === 'readFileSync' || (/^(?:read|write)Sync$/.test(call) && (of[1] as Buffer).length > 4096)
      if (isLong) held.push(call)
    })
    const { cache } = openCache(path, disk)
    await cache.write(large)
    await cache.touch(large.sha1, '"another tag"')
    await openCache(path, disk).cache.fresh(60_000)
    expect(held).toEqual([])
    openCache(path, disk).cache.read()
    expect(held).toEqual(['readFileSync'])
  })

  test('is not read by the process that has written it, though the disk does not have its name yet', async () => {
    const reads: Call[] = []
    const path = cachePath()
    let isNamed = () => {}
    const named = new Promise<void>((resolve) => {
      isNamed = resolve
    })
    const disk = watchedDisk((call) => {
      if (call === 'read' || call === 'readFileSync') reads.push(call)
    })
    let goOn = () => {}
    const fsync = ((fd: number, done: (error: Error | null) => void) => {
      if (!fs.fstatSync(fd).isDirectory()) return fs.fsync(fd, done)
      goOn = () => done(null)
      isNamed()
    }) as typeof fs.fsync
    const { cache } = openCache(path, { ...disk, fsync })
    const writing = cache.write(large)
    await named
    expect((await cache.fresh(60_000))?.bytes).toBe(large.bytes)
    goOn()
    expect([await writing, reads]).toEqual([true, []])
  })

  test('that cannot have its name leaves nothing behind', async () => {
    const path = cachePath()
    await openCache(path).cache.write(one)
    const disk = watchedDisk((call, of) => (call === 'renameSync' && of[1] === path ? new Error('ENOSPC') : undefined))
    expect(await openCache(path, disk).cache.write(two)).toBe(false)
    expect([openCache(path).cache.read().map(textOf), temporaries(path)]).toEqual([['one'], []])
  })

  test('is not read by the process that has written it', async () => {
    const reads: Call[] = []
    const { cache } = openCache(
      cachePath(),
      watchedDisk((call) => {
        // The lock is a few bytes, and not of that document.
        if (call === 'read' || call === 'readFileSync') reads.push(call)
      }),
    )
    await cache.write(one)
    await cache.write(large)
    expect((await cache.fresh(60_000))?.bytes).toBe(large.bytes)
    await cache.touch(large.sha1, large.tag)
    expect((await cache.fresh(60_000))?.bytes).toBe(large.bytes)
    expect(reads).toEqual([])
  })
})

describe('what is asked for at once', () => {
  test('is written in that order, and what is written over in a moment is not written at all', async () => {
    const path = cachePath()
    const { cache, reports } = openCache(path)
    const results = await Promise.all([
      cache.write(one, askedAgo(30)),
      cache.write(two, askedAgo(20)),
      cache.touch(two.sha1, '"renamed"', askedAgo(15)),
      cache.write(three, askedAgo(10)),
      cache.touch(three.sha1, '"renamed"', askedAgo(5)),
    ])
    expect(results).toEqual([false, false, false, true, true])
    expect(openCache(path).cache.read()).toMatchObject([{ sha1: three.sha1, tag: '"renamed"' }])
    expect([reports, temporaries(path)]).toEqual([[], []])
  })

  test('is read at once while a disk takes its time to write', async () => {
    const path = cachePath()
    await openCache(path).cache.write(one)
    let sync = () => {}
    const fsync = ((fd: number, done: (error: Error | null) => void) => {
      sync = () => fs.fsync(fd, done)
    }) as unknown as typeof fs.fsync
    const { cache } = openCache(path, { ...fs, fsync })
    const written = cache.write(two)
    await expect.poll(() => temporaries(path)).toHaveLength(1)
    expect(textOf(await cache.fresh(60_000))).toBe('one')
    while ((await Promise.race([written, new Promise((resolve) => setTimeout(resolve, 5))])) === undefined) sync()
    expect(textOf(await cache.fresh(60_000))).toBe('two')
  })
})

describe('processes that have the same document', () => {
  test('write it once between them', async () => {
    const path = cachePath()
    let syncs = 0
    const disk = watchedDisk((call) => {
      if (call === 'fsync') syncs += 1
    })
    const all = Array.from({ length: 8 }, () => openCache(path, disk))
    const written = await Promise.all(all.map(({ cache }, index) => cache.write(large, askedAgo(100 - index))))
    expect(written).toEqual(all.map(() => true))
    // The file, and its folder.
    expect(syncs).toBe(2)
    expect(names(path)).toEqual(['plugins.cache'])
    expect(all.flatMap(({ reports }) => reports)).toEqual([])
  })

  test('write it all the same where one that is to write it stands still', async () => {
    const path = cachePath()
    const { signal } = new AbortController()
    await openCache(path).cache.lock({ max_age_ms: 0, stale_ms: 60_000, signal })
    expect(await openCache(path).cache.write(one, undefined, true)).toBe(true)
  })
})

describe('while a document is written', () => {
  /** Does something once, when the content is being put on the disk. */
  function onSync(action: () => Promise<unknown>): FileSystem {
    let isDone = false
    const disk = { ...fs }
    disk.fsync = ((fd: number, done: (error: NodeJS.ErrnoException | null) => void) => {
      if (isDone) return fs.fsync(fd, done)
      isDone = true
      void action().then(() => fs.fsync(fd, done))
    }) as typeof fs.fsync
    return disk
  }

  test('what another process has asked for later and written stays', async () => {
    const path = cachePath()
    const other = openCache(path).cache
    const [first, sooner, later] = [askedAgo(1000), askedAgo(600), askedAgo(500)]
    await other.write(one, first)
    const { cache, reports } = openCache(
      path,
      onSync(() => other.write(three, later, true)),
    )
    cache.read()
    expect(await cache.write(two, sooner)).toBe(false)
    expect(openCache(path).cache.read().map(textOf)).toEqual(['three', 'one'])
    expect([reports, temporaries(path)]).toEqual([[], []])
    expect(textOf(await cache.fresh(60_000))).toBe('three')
  })

  test('what another process has asked for sooner becomes the generation before', async () => {
    const path = cachePath()
    const other = openCache(path).cache
    const [sooner, later] = [askedAgo(1000), askedAgo(990)]
    const { cache } = openCache(
      path,
      onSync(() => other.write(one, sooner, true)),
    )
    expect(await cache.write(two, later)).toBe(true)
    expect(openCache(path).cache.read().map(textOf)).toEqual(['two', 'one'])
  })

  test('the same may come from another process, and then it is there', async () => {
    const path = cachePath()
    const other = openCache(path).cache
    const [sooner, asked] = [askedAgo(10), askedAgo(5)]
    const { cache } = openCache(
      path,
      onSync(() => other.write(one, sooner, true)),
    )
    expect(await cache.write(one, asked)).toBe(true)
    expect(openCache(path).cache.read()[0]?.asked).toEqual({ ...asked, at: expect.closeTo(asked.at, -1) })
    expect(temporaries(path)).toEqual([])
  })
})

/** Lets something happen at each of the calls that it takes to write a document, one after the other. */
async function atEachCall(
  prepare: (path: string, tell: (call: Call, of: readonly unknown[]) => Error | undefined) => Promise<void>,
  act: (call: Call) => Error | undefined,
): Promise<Call[]> {
  const seen: Call[] = []
  for (let place = 0; ; place += 1) {
    let at = -1
    let found: Call | undefined
    await prepare(cachePath(), (call) => {
      at += 1
      if (at !== place) return undefined
      found = call
      return act(call)
    })
    if (found === undefined) return seen
    seen.push(found)
  }
}

describe('at any call', () => {
  const options = { max_age_ms: 0, stale_ms: 60_000, signal: new AbortController().signal }

  test('a disk that fails leaves whole documents, and one report', async () => {
    const calls = await atEachCall(
      async (path, tell) => {
        const before = openCache(path).cache
        for (const document of [one, two]) await before.write(document)
        let isOn = false
        let failed: Call | undefined
        const { cache, reports } = openCache(
          path,
          watchedDisk((call, of) => {
            const error = isOn ? tell(call, of) : undefined
            if (error) failed = call
            return error
          }),
        )
        cache.read()
        isOn = true
        const isWritten = await cache.write(three)
        isOn = false
        const { cache: next, reports: found } = openCache(path)
        const texts = next.read().map(textOf)
        expect([failed, texts, found]).toEqual([failed, expect.anything(), []])
        if (isWritten) expect(texts[0]).toBe('three')
        expect([
          ['two', 'one'],
          ['three', 'two'],
          // The name aside could not be given on.
          ['three', 'one'],
        ]).toContainEqual(texts)
        // A file that cannot be removed stays until somebody sweeps.
        expect(temporaries(path).length).toBeLessThanOrEqual(failed === 'unlinkSync' ? 1 : 0)
        expect(reports.length).toBeLessThanOrEqual(1)
        // And the disk is as good as before.
        expect(await cache.write(storable('four', 4))).toBe(true)
        expect(openCache(path).cache.read().map(textOf)[0]).toBe('four')
      },
      (call) => Object.assign(new Error('EIO: i/o error'), { code: 'EIO', call }),
    )
    for (const call of ['write', 'fsync', 'renameSync', 'linkSync', 'futimesSync']) expect(calls).toContain(call)
  })

  test('close() lays down what is under way: nothing of it is left on the disk, and nothing is done after', async () => {
    const calls = await atEachCall(
      async (path, tell) => {
        const before = openCache(path).cache
        for (const document of [one, two]) await before.write(document)
        let closed: Promise<void> | undefined
        let isOver = false
        let isOn = false
        const late: Call[] = []
        const end = async () => {
          await cache.close()
          isOver = true
        }
        const { cache, reports } = openCache(
          path,
          watchedDisk((call, of) => {
            if (isOver) late.push(call)
            if (isOn && closed === undefined && tell(call, of) !== undefined) {
              // Nobody can call it while one of the short calls is made.
              closed = Promise.resolve().then(end)
            }
          }),
        )
        isOn = true
        const release = await cache.lock(options)
        const written = cache.write(medium, askedAgo(0))
        const touched = cache.touch(medium.sha1, '"other"')
        await Promise.all([written, touched, cache.note_version(7)])
        await closed
        release?.()
        if (closed !== undefined) {
          expect(temporaries(path)).toEqual([])
          expect(names(path)).not.toContain(`${basename(path)}.lock`)
        }
        expect([late, reports]).toEqual([[], []])
        expect([
          ['two', 'one'],
          [textOf(medium as never), 'two'],
        ]).toContainEqual(openCache(path).cache.read().map(textOf))
      },
      // Which is an error to nobody here.
      () => new Error('now'),
    )
    for (const call of LONG) expect(calls).toContain(call)
  })

  test('close() ends reading', async () => {
    const path = cachePath()
    await openCache(path).cache.write(large)
    let closed: Promise<void> | undefined
    let reads = 0
    const { cache, reports } = openCache(
      path,
      watchedDisk((call) => {
        if (call !== 'read') return
        reads += 1
        closed ??= cache.close()
      }),
    )
    expect(await cache.fresh(60_000)).toBeUndefined()
    await closed
    expect([reads, reports]).toEqual([1, []])
  })
})
