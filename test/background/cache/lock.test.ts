import nodeFs from 'node:fs'
import { describe, expect, test } from 'vitest'
import { createPlace } from '../../../lib/background/cache/file.ts'
import { openLock } from '../../../lib/background/cache/lock.ts'
import { identifyThisProcess } from '../../../lib/background/cache/process-identity.ts'
import type { FileSystem } from '../../../lib/background/cache/safety.ts'
import { cachePath } from '../../fixtures/cache.ts'

const STALE_MS = 60_000

describe('the lock of a process that is over', () => {
  /** A lock, whose process may do other things in between. */
  function open(path: string, fs: Partial<FileSystem> = {}) {
    return openLock(createPlace({ ...nodeFs, ...fs } as FileSystem, path, identifyThisProcess()))
  }

  function leave(path: string): void {
    const holder = { ...identifyThisProcess(), started: 'another time', token: 'left', at: Date.now() }
    nodeFs.writeFileSync(`${path}.lock`, JSON.stringify(holder), { mode: 0o600 })
  }

  /** A process that takes the lock, and before these of its steps another one tries to. Returns who has got it. */
  function takeWithOthers(steps: readonly number[]): readonly string[] {
    const path = cachePath()
    leave(path)
    const held: string[] = []
    let step = 0
    const counted = (name: 'closeSync' | 'linkSync' | 'lstatSync' | 'openSync' | 'renameSync' | 'unlinkSync') => ({
      [name]: (...given: never[]) => {
        const other = steps.includes(step) ? open(path).take(STALE_MS) : undefined
        step += 1
        if (other !== undefined) held.push(other)
        return (nodeFs[name] as (...given: never[]) => unknown)(...given)
      },
    })
    const names = ['closeSync', 'linkSync', 'lstatSync', 'openSync', 'renameSync', 'unlinkSync'] as const
    const own = open(path, Object.assign({}, ...names.map(counted))).take(STALE_MS)
    if (own !== undefined) held.push(own)
    for (const token of held) expect(open(path).isHeld(token)).toBe(true)
    return held
  }

  test('is taken over by one, whenever others come', () => {
    for (let first = 0; first < 20; first += 1) {
      for (let second = first; second < 20; second += 1) {
        expect(takeWithOthers([first, second]), `others before ${first} and ${second}`).toHaveLength(1)
      }
    }
  })

  test('can be taken over a second after somebody was killed while taking it over', () => {
    const path = cachePath()
    leave(path)
    nodeFs.writeFileSync(`${path}.lock.over`, '')
    const lock = open(path)
    expect(lock.take(STALE_MS)).toBeUndefined()
    expect(lock.take(STALE_MS)).toBeUndefined()
    const earlier = new Date(Date.now() - 2000)
    nodeFs.utimesSync(`${path}.lock.over`, earlier, earlier)
    expect(lock.take(STALE_MS)).toBeUndefined()
    expect(lock.take(STALE_MS)).toBeTypeOf('string')
    expect(nodeFs.existsSync(`${path}.lock.over`)).toBe(false)
  })
})
