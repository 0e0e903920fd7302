import fs from 'node:fs'
import { describe, expect, test } from 'vitest'
import { createPlace } from '../../lib/background/cache-file.ts'
import { encodeDocument } from '../../lib/background/cache-format.ts'
import { openGeneration } from '../../lib/background/cache-generation.ts'
import { identifyThisProcess } from '../../lib/background/process-identity.ts'
import { cachePath, storable, textOf } from '../fixtures/cache.ts'

function put(path: string, text: string, version = 1): void {
  fs.writeFileSync(`${path}.new`, encodeDocument(storable(text, version)), { mode: 0o600 })
  fs.renameSync(`${path}.new`, path)
}

function open({ max_bytes = 1000, changed = {}, path = cachePath() } = {}) {
  const counts = { reads: 0 }
  const readFileSync = ((...of: Parameters<typeof fs.readFileSync>) => {
    counts.reads += 1
    return fs.readFileSync(...of)
  }) as typeof fs.readFileSync
  const place = createPlace({ ...fs, readFileSync, ...changed }, path, identifyThisProcess())
  return { path, counts, generation: openGeneration(place, path, max_bytes) }
}

describe('a generation', () => {
  test('is read once, and is the same object until something changes', () => {
    const { path, counts, generation } = open()
    put(path, 'one')
    const entry = generation.read()
    expect(entry).toMatchObject({ ...storable('one', 1), bytes: expect.anything() })
    expect(textOf(entry)).toBe('one')
    expect(Object.isFrozen(entry)).toBe(true)
    for (let turn = 0; turn < 5; turn += 1) expect(generation.read()).toBe(entry)
    expect(counts.reads).toBe(1)
  })

  test('says when it was found current: the time of the file, to the millisecond', () => {
    const { path, generation } = open()
    put(path, 'one')
    for (const at of [1_700_000_000_123, 1_700_000_000_999, 1_700_000_001_001]) {
      fs.utimesSync(path, at / 1000, at / 1000)
      expect(generation.read()?.validated_at).toBe(at)
    }
  })

  test('that another process found current is not read again, and its bytes stay the same object', () => {
    const { path, counts, generation } = open()
    put(path, 'one')
    const before = generation.read()
    fs.utimesSync(path, 1_800_000_000, 1_800_000_000)
    const after = generation.read()
    expect(after?.validated_at).toBe(1_800_000_000_000)
    expect(after?.bytes).toBe(before?.bytes)
    expect(counts.reads).toBe(1)
  })

  test('that is replaced is read again, also by one of the same length', () => {
    const { path, generation } = open()
    put(path, 'one')
    generation.read()
    put(path, 'two')
    expect(textOf(generation.read())).toBe('two')
  })

  test('that is gone is gone', () => {
    const { path, generation } = open()
    expect(generation.read()).toBeUndefined()
    put(path, 'one')
    expect(textOf(generation.read())).toBe('one')
    fs.unlinkSync(path)
    expect(generation.read()).toBeUndefined()
  })

  test('is current now once it is touched, and keeps its object', () => {
    const { path, counts, generation } = open()
    put(path, 'one')
    fs.utimesSync(path, 1_000_000_000, 1_000_000_000)
    const before = generation.read()
    const earliest = Date.now()
    generation.touch()
    expect(generation.read()?.validated_at).toBeGreaterThanOrEqual(earliest)
    expect(generation.read()?.validated_at).toBe(Math.round(fs.statSync(path).mtimeMs))
    expect(generation.read()?.bytes).toBe(before?.bytes)
    expect(counts.reads).toBe(1)
  })

  test('is not touched where another one has come meanwhile', () => {
    const { path, generation } = open()
    put(path, 'one')
    generation.read()
    put(path, 'two')
    fs.utimesSync(path, 1_000_000_000, 1_000_000_000)
    generation.touch()
    expect(generation.read()?.validated_at).toBe(1_000_000_000_000)
  })
})

describe('a damaged generation', () => {
  test('is set aside, and the message says where and why', () => {
    const { path, generation } = open()
    fs.writeFileSync(path, '', { mode: 0o600 })
    const message = `the cache's file ${path} is damaged: it is empty; it is now ${path}.damaged`
    expect(() => generation.read()).toThrow(expect.objectContaining({ code: 'ERR_DYNACODE_CACHE', message }))
    expect(generation.read()).toBeUndefined()
    expect(fs.existsSync(`${path}.damaged`)).toBe(true)
  })

  test('is not even read where it is larger than a document may be', () => {
    const { path, counts, generation } = open()
    fs.writeFileSync(path, 'x', { mode: 0o600 })
    fs.truncateSync(path, 2 ** 35)
    expect(() => generation.read()).toThrow(`it has ${2 ** 35} bytes, expected 1000 at most`)
    expect(counts.reads).toBe(0)
  })

  test('is one whose content alone is a byte too large', () => {
    const { path, generation } = open({ max_bytes: 3 })
    put(path, 'four')
    expect(() => generation.read()).toThrow('it has 4 bytes, expected 3 at most')
    put(path, 'two')
    expect(textOf(generation.read())).toBe('two')
  })

  test('that cannot be moved is read once, and refused each time', () => {
    const renameSync = () => {
      throw Object.assign(new Error('EROFS: read-only file system'), { code: 'EROFS' })
    }
    const { path, counts, generation } = open({ changed: { renameSync } })
    fs.writeFileSync(path, 'garbage', { mode: 0o600 })
    for (let turn = 0; turn < 3; turn += 1) expect(() => generation.read()).toThrow('is damaged')
    expect(counts.reads).toBe(1)
    put(path, 'whole')
    expect(textOf(generation.read())).toBe('whole')
  })

  test('that another process has replaced meanwhile is no news, and the new one stays', () => {
    const path = cachePath()
    const readFileSync = ((...of: Parameters<typeof fs.readFileSync>) => {
      const content = fs.readFileSync(...of)
      put(path, 'whole')
      return content
    }) as typeof fs.readFileSync
    const { generation } = open({ path, changed: { readFileSync } })
    fs.writeFileSync(path, 'garbage', { mode: 0o600 })
    expect(generation.read()).toBeUndefined()
    expect(textOf(generation.read())).toBe('whole')
    expect(fs.existsSync(`${path}.damaged`)).toBe(false)
  })

  test('of which the disk gives nothing is not damaged: it stays where it is', () => {
    const readFileSync = () => {
      throw Object.assign(new Error('EIO: i/o error, read'), { code: 'EIO' })
    }
    const { path, generation } = open({ changed: { readFileSync: readFileSync as never } })
    put(path, 'one')
    expect(() => generation.read()).toThrow('EIO')
    expect(fs.existsSync(path)).toBe(true)
  })
})
