import fs from 'node:fs'
import { describe, expect, test } from 'vitest'
import { type Asked, askedAt, askNow } from '../../../lib/background/cache/asked.ts'
import { createPlace } from '../../../lib/background/cache/file.ts'
import { openGeneration } from '../../../lib/background/cache/generation.ts'
import { identifyThisProcess } from '../../../lib/background/cache/process-identity.ts'
import { askedAgo, cachePath, encodeDocument, storable, textOf } from '../../fixtures/cache.ts'

function put(path: string, text: string, version = 1, asked?: Asked): void {
  fs.writeFileSync(`${path}.new`, encodeDocument({ ...storable(text, version), asked }), { mode: 0o600 })
  if (asked !== undefined) fs.utimesSync(`${path}.new`, asked.at / 1000, asked.at / 1000)
  fs.renameSync(`${path}.new`, path)
}

/** Of files this small, one reading is one call. */
function open({ max_bytes = 1000, changed = {}, path = cachePath() } = {}) {
  const counts = { reads: 0 }
  const read = ((...of: Parameters<typeof fs.read>) => {
    counts.reads += 1
    return fs.read(...of)
  }) as unknown as typeof fs.read
  const readFileSync = ((...of: Parameters<typeof fs.readFileSync>) => {
    counts.reads += 1
    return fs.readFileSync(...of)
  }) as typeof fs.readFileSync
  const place = createPlace({ ...fs, read, readFileSync, ...changed }, path, identifyThisProcess())
  return { path, counts, generation: openGeneration(place, path, max_bytes) }
}

/** Reads as the disk does, while another process puts these in the file's place, one at each reading. */
function replacedWhileRead(path: string, texts: string[]): typeof fs.read {
  return ((fd: number, into: Buffer, at: number, length: number, from: number, done: () => void) => {
    fs.read(fd, into, at, length, from, (...result) => {
      const text = texts.shift()
      if (text !== undefined) put(path, text)
      done(...(result as unknown as []))
    })
  }) as unknown as typeof fs.read
}

describe('a generation', () => {
  test('that is replaced while it is read is read again, so that what is given is the newest', async () => {
    const path = cachePath()
    const { generation } = open({ path, changed: { read: replacedWhileRead(path, ['two', 'three']) } })
    put(path, 'one')
    expect(textOf(await generation.read())).toBe('three')
  })

  test('that is replaced again and again is given as it was, in the end', async () => {
    const path = cachePath()
    const texts = Array.from({ length: 100 }, (_, index) => `text ${index}`)
    const { generation } = open({ path, changed: { read: replacedWhileRead(path, texts) } })
    put(path, 'one')
    expect(textOf(await generation.read())).toMatch(/^text \d$/)
    expect(texts.length).toBeGreaterThan(90)
  })

  test('that is cut off while it is read is read again, and set aside at a start', async () => {
    const path = cachePath()
    const read = ((fd: number, into: Buffer, at: number, length: number, from: number, done: () => void) => {
      fs.read(fd, into, at, Math.min(length, 40), from, (...result) => {
        if (fs.statSync(path).size > 60) fs.truncateSync(path, 60)
        done(...(result as unknown as []))
      })
    }) as unknown as typeof fs.read
    const { generation } = open({ path, changed: { read } })
    put(path, 'one')
    await expect(generation.read()).rejects.toThrow('not written by dynacode')
    expect(() => open({ path }).generation.readAtOnce()).toThrow(`it is now ${path}.damaged`)
    expect(await generation.read()).toBeUndefined()
  })

  test('that this process has written is not read at all', async () => {
    const { path, counts, generation } = open()
    put(path, 'one')
    const { sha1, tag, version, bytes } = storable('one', 1)
    const header = encodeDocument(storable('one', 1)).subarray(0, -3)
    generation.learn(fs.lstatSync(path), header, { bytes, sha1, tag, version, source: undefined })
    expect((await generation.read())?.bytes).toBe(bytes)
    fs.utimesSync(path, 1_800_000_000, 1_800_000_000)
    expect((await generation.read())?.asked.at).toBe(1_800_000_000_000)
    expect(counts.reads).toBe(0)
    put(path, 'two')
    expect(textOf(await generation.read())).toBe('two')
  })

  test('is the same when it is read at once', async () => {
    const { path, counts, generation } = open()
    put(path, 'one')
    const entry = generation.readAtOnce()
    expect(textOf(entry)).toBe('one')
    expect(await generation.read()).toBe(entry)
    expect(counts.reads).toBe(1)
    fs.writeFileSync(path, 'garbage', { mode: 0o600 })
    expect(() => generation.readAtOnce()).toThrow('is damaged')
    expect(generation.readAtOnce()).toBeUndefined()
  })

  test('is read once, and is the same object until something changes', async () => {
    const { path, counts, generation } = open()
    put(path, 'one')
    const entry = await generation.read()
    expect(entry).toMatchObject({ ...storable('one', 1), bytes: expect.anything() })
    expect(textOf(entry)).toBe('one')
    expect(Object.isFrozen(entry)).toBe(true)
    for (let turn = 0; turn < 5; turn += 1) expect(await generation.read()).toBe(entry)
    expect(counts.reads).toBe(1)
  })

  test('says when it was found current: the time of the file, to the millisecond', async () => {
    const { path, generation } = open()
    put(path, 'one')
    for (const at of [1_700_000_000_123, 1_700_000_000_999, 1_700_000_001_001]) {
      fs.utimesSync(path, at / 1000, at / 1000)
      expect((await generation.read())?.asked.at).toBe(at)
    }
  })

  test('that another process found current is not read again, and its bytes stay the same object', async () => {
    const { path, counts, generation } = open()
    put(path, 'one')
    const before = await generation.read()
    fs.utimesSync(path, 1_800_000_000, 1_800_000_000)
    const after = await generation.read()
    expect(after?.asked.at).toBe(1_800_000_000_000)
    expect(after?.bytes).toBe(before?.bytes)
    expect(counts.reads).toBe(1)
  })

  test('that is replaced is read again, also by one of the same length', async () => {
    const { path, generation } = open()
    put(path, 'one')
    await generation.read()
    put(path, 'two')
    expect(textOf(await generation.read())).toBe('two')
  })

  test('that is gone is gone', async () => {
    const { path, generation } = open()
    expect(await generation.read()).toBeUndefined()
    put(path, 'one')
    expect(textOf(await generation.read())).toBe('one')
    fs.unlinkSync(path)
    expect(await generation.read()).toBeUndefined()
  })

  test('was asked for then once it is touched, and keeps its object', async () => {
    const { path, counts, generation } = open()
    put(path, 'one', 1, askedAgo(5000))
    const before = await generation.read()
    const asked = askedAgo(1000)
    expect(generation.touch(asked)).toBe(true)
    const after = await generation.read()
    expect(after?.asked).toEqual({ ...asked, at: expect.closeTo(asked.at, -1) })
    expect(after?.asked.at).toBe(Math.round(fs.statSync(path).mtimeMs))
    expect(after?.bytes).toBe(before?.bytes)
    expect(counts.reads).toBe(1)
    // Another process sees the same.
    expect((await open({ path }).generation.read())?.asked).toEqual(after?.asked)
  })

  test.each([
    ['the clock was set', () => ({ ...askNow(), at: Date.now() + 3_600_000 })],
    ['the machine was started', () => ({ ...askNow(), boot: 'another' })],
  ])('is not touched where %s since it was written', async (_what, asked) => {
    const { path, generation } = open()
    put(path, 'one', 1, askedAgo(5000))
    await generation.read()
    expect(generation.touch(asked())).toBe(false)
  })

  test('is not touched where it was written before files said when they were asked for', async () => {
    const { path, generation } = open()
    put(path, 'one')
    await generation.read()
    expect(generation.touch(askNow())).toBe(false)
    expect((await generation.read())?.asked).toEqual(askedAt(Math.round(fs.statSync(path).mtimeMs)))
  })

  test('is not touched where another one has come meanwhile', async () => {
    const { path, generation } = open()
    put(path, 'one', 1, askedAgo(10))
    await generation.read()
    const asked = askedAgo(5000)
    put(path, 'two', 1, asked)
    expect(generation.touch(askNow())).toBe(false)
    expect((await generation.read())?.asked).toEqual(asked)
  })
})

describe('a damaged generation', () => {
  test('is set aside at a start, and the message says where and why', async () => {
    const { path, generation } = open()
    fs.writeFileSync(path, '', { mode: 0o600 })
    const message = `the cache's file ${path} is damaged: it is empty; it is now ${path}.damaged`
    expect(() => generation.readAtOnce()).toThrow(expect.objectContaining({ code: 'ERR_DYNACODE_CACHE', message }))
    expect(await generation.read()).toBeUndefined()
    expect(fs.existsSync(`${path}.damaged`)).toBe(true)
  })

  test('stays where it is later: whatever comes next replaces it', async () => {
    const { path, counts, generation } = open()
    fs.writeFileSync(path, 'garbage', { mode: 0o600 })
    const message = `the cache's file ${path} is damaged: it was not written by dynacode; it is not used`
    for (let turn = 0; turn < 3; turn += 1) await expect(generation.read()).rejects.toThrow(message)
    expect([counts.reads, fs.existsSync(path)]).toEqual([1, true])
  })

  test.each([
    ['of another format', () => Buffer.from('{"dynacode_cache":99}\n{}'), 'another version of dynacode (format 99)'],
    [
      'of a format by name',
      () => Buffer.from('{"dynacode_cache":"b"}\n{}'),
      'another version of dynacode (format "b")',
    ],
    ['larger than a document may be', () => encodeDocument(storable('x'.repeat(1001), 1)), 'it has 1001 bytes'],
  ])('is none that is %s: others may need it', async (_what, content, message) => {
    const { path, generation } = open()
    fs.writeFileSync(path, content(), { mode: 0o600 })
    expect(() => generation.readAtOnce()).toThrow(message)
    expect(() => generation.readAtOnce()).toThrow(message)
    expect(fs.readFileSync(path).equals(content())).toBe(true)
  })

  test('is not even read where it is larger than a document may be', async () => {
    const { path, counts, generation } = open()
    fs.writeFileSync(path, 'x', { mode: 0o600 })
    fs.truncateSync(path, 2 ** 35)
    await expect(generation.read()).rejects.toThrow(`it has ${2 ** 35} bytes, expected 1000 at most`)
    expect(counts.reads).toBe(0)
  })

  test('is one whose content alone is a byte too large', async () => {
    const { path, generation } = open({ max_bytes: 3 })
    put(path, 'four')
    await expect(generation.read()).rejects.toThrow('it has 4 bytes, expected 3 at most')
    put(path, 'two')
    expect(textOf(await generation.read())).toBe('two')
  })

  test('that cannot be moved is read once, and refused each time', async () => {
    const renameSync = () => {
      throw Object.assign(new Error('EROFS: read-only file system'), { code: 'EROFS' })
    }
    const { path, counts, generation } = open({ changed: { renameSync } })
    fs.writeFileSync(path, 'garbage', { mode: 0o600 })
    for (let turn = 0; turn < 3; turn += 1) expect(() => generation.readAtOnce()).toThrow('is damaged')
    expect(counts.reads).toBe(1)
    put(path, 'whole')
    expect(textOf(await generation.read())).toBe('whole')
  })

  test('that another process has replaced meanwhile is no news, and the new one is read', async () => {
    const path = cachePath()
    const reading = replacedWhileRead(path, ['whole'])
    const { generation } = open({ path, changed: { read: reading } })
    fs.writeFileSync(path, 'garbage', { mode: 0o600 })
    expect(textOf(await generation.read())).toBe('whole')
    expect(fs.existsSync(`${path}.damaged`)).toBe(false)
  })

  test('of which the disk gives nothing is not damaged: it stays where it is', async () => {
    const refuse = () => {
      throw Object.assign(new Error('EIO: i/o error, read'), { code: 'EIO' })
    }
    const { path, generation } = open({ changed: { read: refuse, readFileSync: refuse } })
    put(path, 'one')
    await expect(generation.read()).rejects.toThrow('EIO')
    expect(() => generation.readAtOnce()).toThrow('EIO')
    expect(fs.existsSync(path)).toBe(true)
  })
})
