import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { median } from '../statistics.mjs'
import { KINDS } from './documents.mjs'

/** @returns milliseconds from the start of a process to its first answer: with plugins from its cache, and without */
export async function measureStarts(turns, size) {
  const folder = mkdtempSync(join(tmpdir(), 'dynacode-bench-'))
  const path = join(folder, 'dynacode.cache')
  try {
    await measureOne(path, 'fill', size)
    const times = { cache: [], nothing: [] }
    for (let turn = 0; turn < turns; turn += 1) {
      for (const from of Object.keys(times)) times[from].push(await measureOne(path, from, size))
    }
    return [median(times.cache), median(times.nothing)]
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

async function measureOne(path, from, size) {
  const started = performance.now()
  const child = fork(join(import.meta.dirname, 'start-child.mjs'), [path, from, String(size)])
  const [port] = await once(child, 'message')
  const { host } = KINDS.literal
  const response = await fetch(`http://127.0.0.1:${port}/`, { headers: { 'x-forwarded-host': host } })
  await response.text()
  const took = performance.now() - started
  const exit = once(child, 'exit')
  child.kill('SIGKILL')
  await exit
  return took
}
