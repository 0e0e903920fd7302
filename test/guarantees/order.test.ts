import fs from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { createDynacode, type Dynacode } from '../../lib/dynacode.ts'
import { SYSTEM_CLOCK } from '../../lib/time/clock.ts'
import { makeFolder } from '../fixtures/folder.ts'

/** An answer of the API: decided when it was asked for, and on its way until somebody lets it arrive. */
interface Answer {
  readonly version: number
  arrive(how: 'whole' | 'failed'): void
}

/** One process, as far as it matters here: a memory of its own, and the disk that it shares. */
interface Instance {
  readonly dyna: Dynacode
  readonly poll: () => void
  readonly notice: () => void
  readonly answers: Answer[]
  /** The highest version that it ever had live. */
  floor: number
}

const textOf = (version: number) => JSON.stringify({ general: { version }, domains: [] })

/** Several instances, what they share, and what an API would have given them. */
class Machine {
  readonly cache_path = join(makeFolder(), 'cache')
  readonly instances: Instance[] = []
  readonly all: Instance[] = []
  version = 1
  disk_floor = 0
  fsync_ms = 0
  ahead_ms = 0

  start(place: number): void {
    const answers: Answer[] = []
    let poll = () => {}
    let notice = () => {}
    const fetch = (_signal: AbortSignal, last: string | undefined) => {
      const { version } = this
      const tag = `"${version}"`
      const unchanged = last === tag
      return new Promise<never>((resolve, reject) => {
        answers.push({
          version,
          arrive(how) {
            if (how === 'failed') reject(new Error('the API answered with rubbish'))
            else resolve((unchanged ? { unchanged } : { bytes: Buffer.from(textOf(version)), tag }) as never)
          },
        })
      })
    }
    const watch = (changed: () => void) => {
      notice = changed
      return () => undefined
    }
    const dyna = createDynacode(
      {
        source: { fetch, watch },
        cache_path: this.cache_path,
        plugin_api_timeout: 600,
        plugin_api_polling_interval: 3600,
        logger: false,
      },
      {
        clock: SYSTEM_CLOCK,
        startPoller(cycle) {
          poll = () => void cycle()
          return { next_at: () => null, stop: () => undefined }
        },
      },
    )
    const instance = { dyna, poll: () => poll(), notice: () => notice(), answers, floor: 0 }
    this.instances[place] = instance
    this.all.push(instance)
  }

  /** Nothing goes back: neither what is live anywhere, nor what is on the disk. */
  check(): void {
    for (const instance of this.all) {
      const version = Number(instance.dyna.status().version ?? 0)
      expect(version, 'the version that is live in a process').toBeGreaterThanOrEqual(instance.floor)
      instance.floor = version
    }
    const version = versionOnDisk(this.cache_path)
    expect(version, 'the version on the disk').toBeGreaterThanOrEqual(this.disk_floor)
    this.disk_floor = version
  }

  /** Lets all that can go on do so, and looks at it meanwhile. */
  async settle(turns = 2): Promise<void> {
    for (let turn = 0; turn < turns; turn += 1) {
      this.check()
      await sleep(1)
    }
    this.check()
  }

  /** Everybody asks, one after the other, and whatever is on its way arrives. */
  async refreshAll(): Promise<void> {
    for (const { dyna } of this.instances) {
      let isOver = false
      void dyna.refresh().finally(() => {
        isOver = true
      })
      for (let turn = 0; turn < 2000 && !isOver; turn += 1) {
        // Of those that were killed one may have been given the lock.
        fs.rmSync(`${this.cache_path}.lock`, { force: true })
        for (const { answers } of this.instances) for (const each of answers.splice(0)) each.arrive('whole')
        await this.settle(1)
      }
      expect(isOver).toBe(true)
    }
  }

  publish(): void {
    this.version += 1
  }

  at(place: number): Instance {
    return this.instances[place % this.instances.length] as Instance
  }

  async end(): Promise<void> {
    await Promise.all(this.all.map(({ dyna }) => dyna.close()))
  }
}

function versionOnDisk(path: string): number {
  try {
    const text = fs.readFileSync(path, 'utf8')
    return JSON.parse(text.slice(0, text.indexOf('\n'))).version
  } catch {
    return 0
  }
}

type Command = fc.AsyncCommand<object, Machine>

function command(name: string, run: (machine: Machine) => void): Command {
  return {
    check: () => true,
    async run(_model, machine) {
      run(machine)
      await machine.settle()
    },
    toString: () => name,
  }
}

const place = fc.nat(2)
const commands = fc.commands(
  [
    fc.constant(command('publish', (machine) => machine.publish())),
    place.map((at) => command(`ask ${at}`, (machine) => void machine.at(at).dyna.refresh())),
    place.map((at) => command(`poll ${at}`, (machine) => machine.at(at).poll())),
    place.map((at) => command(`notice ${at}`, (machine) => machine.at(at).notice())),
    ...[1, 2].map(() =>
      place.map((at) => command(`answer ${at}`, (machine) => machine.at(at).answers.shift()?.arrive('whole'))),
    ),
    place.map((at) => command(`answer ${at} late`, (machine) => machine.at(at).answers.pop()?.arrive('whole'))),
    place.map((at) => command(`fail ${at}`, (machine) => machine.at(at).answers.shift()?.arrive('failed'))),
    // It is never heard of again, and all that it held stays held.
    place.map((at) => command(`kill ${at}`, (machine) => machine.start(at))),
    fc.constant(command('take the lock away', ({ cache_path }) => fs.rmSync(`${cache_path}.lock`, { force: true }))),
    fc.constant(
      command('have the lock be old', ({ cache_path }) => {
        if (fs.existsSync(`${cache_path}.lock`)) fs.utimesSync(`${cache_path}.lock`, 1, 1)
      }),
    ),
    fc.constantFrom(0, 8).map((ms) =>
      command(`a disk that takes ${ms} ms`, (machine) => {
        machine.fsync_ms = ms
      }),
    ),
    fc.constantFrom(-86_400_000, 0, 86_400_000).map((ms) =>
      command(`the clock is set by ${ms} ms`, (machine) => {
        machine.ahead_ms = ms
      }),
    ),
  ],
  { maxCommands: 30, size: 'max' },
)

afterEach(() => void vi.restoreAllMocks())

describe('G57', () => {
  test('G57 nothing that was asked for earlier replaces what was asked for later, in memory or on the disk', async () => {
    const { fsync } = fs
    const now = Date.now.bind(Date)
    let machine = new Machine()
    vi.spyOn(Date, 'now').mockImplementation(() => now() + machine.ahead_ms)
    vi.spyOn(fs, 'fsync').mockImplementation(((fd: number, done: (error: Error | null) => void) => {
      setTimeout(() => fsync(fd, done), machine.fsync_ms)
    }) as typeof fs.fsync)
    await fc.assert(
      fc.asyncProperty(commands, async (all) => {
        machine = new Machine()
        for (const at of [0, 1, 2]) machine.start(at)
        try {
          await machine.refreshAll()
          await fc.asyncModelRun(() => ({ model: {}, real: machine }), all)
          // And none of them stays behind: what is on its way arrives, and then everybody asks once more.
          machine.fsync_ms = 0
          machine.ahead_ms = 0
          await machine.refreshAll()
          await expect
            .poll(() => machine.instances.map(({ dyna }) => dyna.status().version), { interval: 5, timeout: 5000 })
            .toEqual(machine.instances.map(() => machine.version))
          machine.check()
          expect(versionOnDisk(machine.cache_path)).toBe(machine.version)
        } finally {
          await machine.end()
        }
      }),
      { numRuns: 20, seed: 57, endOnFailure: true },
    )
  }, 60_000)
})
