import fs from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { checkPath, findFolder, openFolder, openSafely } from '../../../lib/background/cache/safety.ts'
import { cachePath } from '../../fixtures/cache.ts'

const isRoot = process.geteuid?.() === 0
const code = 'ERR_DYNACODE_CACHE'

function aFile(): string {
  const path = cachePath()
  fs.writeFileSync(path, 'x', { mode: 0o600 })
  return path
}

function refusal(path: string): string {
  const errors = [() => checkPath(fs, path), () => openSafely(fs, path)].map((look) => {
    try {
      look()
      return undefined
    } catch (error) {
      expect(error).toMatchObject({ code })
      return (error as Error).message
    }
  })
  expect(errors[0]).toBe(errors[1])
  expect(errors[0]).toContain(path)
  return errors[0] ?? ''
}

describe('a file of the cache', () => {
  test('that is ours alone is opened', () => {
    const opened = openSafely(fs, aFile())
    expect(opened?.found.size).toBe(1)
    fs.closeSync(opened!.fd)
  })

  test('may be missing', () => {
    const path = cachePath()
    checkPath(fs, path)
    expect(openSafely(fs, path)).toBeUndefined()
    expect(openSafely(fs, join(path, 'below'))).toBeUndefined()
  })

  test('may go away between two looks at it', () => {
    const path = aFile()
    const vanishing = {
      ...fs,
      openSync: (...of: Parameters<typeof fs.openSync>) => {
        fs.unlinkSync(path)
        return fs.openSync(...of)
      },
    }
    expect(openSafely(vanishing, path)).toBeUndefined()
  })

  test('that became a link between two looks is not followed', () => {
    const path = aFile()
    const target = aFile()
    const swapping = {
      ...fs,
      openSync: (...of: Parameters<typeof fs.openSync>) => {
        fs.unlinkSync(path)
        fs.symlinkSync(target, path)
        return fs.openSync(...of)
      },
    }
    expect(() => openSafely(swapping, path)).toThrow('ELOOP')
  })

  test('must not be a symbolic link, also one to nowhere', () => {
    const path = cachePath()
    fs.symlinkSync(aFile(), path)
    expect(refusal(path)).toContain('is a symbolic link')
    fs.unlinkSync(path)
    fs.symlinkSync('/nowhere/at/all', path)
    expect(refusal(path)).toContain('is a symbolic link')
  })

  test('must be a file: a folder is none', () => {
    const path = cachePath()
    fs.mkdirSync(path)
    expect(refusal(path)).toContain('is not a regular file')
  })

  test('must not be writable by everybody; by a group it may', () => {
    const path = aFile()
    fs.chmodSync(path, 0o660)
    checkPath(fs, path)
    fs.chmodSync(path, 0o602)
    expect(refusal(path)).toContain('is writable by everybody (mode 0602)')
  })

  test.runIf(isRoot)('must belong to the user of this process', () => {
    const path = aFile()
    fs.chownSync(path, 65534, 65534)
    expect(refusal(path)).toContain("belongs to user 65534, not to this process's user 0")
  })
})

describe('the folder of the cache', () => {
  test('is made where it is missing, for this user alone', () => {
    const folder = join(dirname(cachePath()), 'a', 'b')
    expect(findFolder(fs, folder)).toBe(false)
    openFolder(fs, folder)
    expect(findFolder(fs, folder)).toBe(true)
    expect(fs.statSync(folder).mode & 0o777).toBe(0o700)
  })

  test('that cannot be made where its parent is there is an error, and not tried for ever', () => {
    const mkdirSync = () => {
      throw Object.assign(new Error('ENOENT: no such file or directory'), { code: 'ENOENT' })
    }
    const folder = join(dirname(cachePath()), 'a', 'b')
    expect(() => openFolder({ ...fs, mkdirSync }, folder)).toThrow('ENOENT')
  })

  test.runIf(process.platform === 'linux')('in /proc is an error', () => {
    expect(() => openFolder(fs, '/proc/dynacode/cache')).toThrow('ENOENT')
  })

  test('is refused where everybody may replace files in it, and the message says what to do', () => {
    const folder = dirname(cachePath())
    fs.chmodSync(folder, 0o777)
    for (const look of [openFolder, findFolder]) {
      expect(() => look(fs, folder)).toThrow(
        expect.objectContaining({ code, message: expect.stringContaining(folder) }),
      )
      expect(() => look(fs, folder)).toThrow(/mode 0777.*folder of the app's own/)
    }
  })

  test('may be sticky, as /tmp is, or writable by a group', () => {
    const folder = dirname(cachePath())
    fs.chmodSync(folder, 0o1777)
    expect(findFolder(fs, folder)).toBe(true)
    fs.chmodSync(folder, 0o775)
    expect(findFolder(fs, folder)).toBe(true)
  })

  test('may be reached by a symbolic link', () => {
    const [real, link] = [dirname(cachePath()), cachePath()]
    fs.symlinkSync(real, link)
    openFolder(fs, link)
    expect(findFolder(fs, link)).toBe(true)
  })

  test('is not a file', () => {
    expect(() => openFolder(fs, aFile())).toThrow('is not a folder')
  })
})
