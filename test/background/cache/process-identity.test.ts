import { existsSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { identifyThisProcess, isGone } from '../../../lib/background/cache/process-identity.ts'

const here = identifyThisProcess()
const hasProc = existsSync('/proc/self/stat')

describe('a process', () => {
  test('is the same each time that it is asked for', () => {
    expect(identifyThisProcess()).toEqual(here)
    expect(here).toMatchObject({ pid: process.pid, machine: expect.stringMatching(/^[0-9a-f]{8}$/) })
  })

  test('that lives is not gone', () => {
    expect(isGone(here, here)).toBe(false)
    expect(isGone({ ...here, started: undefined }, here)).toBe(false)
  })

  test('of another user lives, too', () => {
    // The first process is not ours to signal, unless we are root.
    expect(isGone({ pid: 1, started: undefined, machine: here.machine }, here)).toBe(false)
  })

  test.runIf(hasProc)('whose number another one has now is gone', () => {
    expect(isGone({ ...here, started: '1' }, here)).toBe(true)
  })
})
