import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, onTestFinished, test } from 'vitest'
import { identifyThisProcess, isGone } from '../../../lib/background/cache/process-identity.ts'

const here = identifyThisProcess()
const hasProc = existsSync('/proc/self/stat')

describe('a process', () => {
  test('that has ended is gone', () => {
    const { pid } = spawnSync(process.execPath, ['-e', ''])
    expect(isGone({ pid, started: undefined, machine: here.machine }, here)).toBe(true)
  })

  test('of another machine is never known to be gone', () => {
    const { pid } = spawnSync(process.execPath, ['-e', ''])
    expect(isGone({ pid, started: undefined, machine: '00000000' }, here)).toBe(false)
  })

  test.runIf(hasProc)('that was killed is gone, also while its parent has not looked after it', async () => {
    // The shell's child is killed, and the program that takes the shell's place knows nothing of it.
    const parent = spawn('/bin/sh', ['-c', 'sleep 60 & echo $!; exec sleep 60'], {
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    onTestFinished(() => void parent.kill('SIGKILL'))
    const [output] = await once(parent.stdout, 'data')
    const pid = Number(String(output))
    // Before that, the shell may look after its child.
    await expect.poll(() => readFileSync(`/proc/${parent.pid}/comm`, 'utf8')).toBe('sleep\n')
    const machine = here.machine
    expect(isGone({ pid, started: undefined, machine }, here)).toBe(false)
    process.kill(pid, 'SIGKILL')
    const state = () => readFileSync(`/proc/${pid}/stat`, 'utf8').split(' ')[2]
    await expect.poll(state).toBe('Z')
    expect(isGone({ pid, started: undefined, machine }, here)).toBe(true)
  })
})
