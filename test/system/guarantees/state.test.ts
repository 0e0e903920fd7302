import { type ChildProcess, fork, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import fs from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { build } from 'esbuild'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import type { CacheEntry } from '../../../lib/background/cache/disk.ts'
import { bytesOf, cachePath, openCache, storable, textOf } from '../../fixtures/cache.ts'

const isRoot = process.geteuid?.() === 0
const scripts = fs.mkdtempSync(join(tmpdir(), 'dynacode-state-'))
const one = storable('one', 1)
const names = (path: string) => fs.readdirSync(dirname(path)).sort()

beforeAll(async () => {
  // Plain JavaScript starts in a tenth of the time, and there are many to start.
  const urls = [
    new URL('./cache-writer.ts', import.meta.url),
    new URL('./cache-sharer.ts', import.meta.url),
    new URL('./cache-refused.ts', import.meta.url),
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
  const { tag, version } = entry
  expect(tag).toBe(`"${version}"`)
  expect(bytesOf(entry).equals(Buffer.alloc(60_000, `${version},`))).toBe(true)
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
      const generations = cache.read()
      await cache.close()
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
      const generations = cache.read()
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
  })

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
    expect(openCache(path).cache.read().map(textOf)).toEqual(['one'])
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
})
