import { readFileSync, readlinkSync } from 'node:fs'

/**
 * When the source was asked for something: an order that holds over all processes of a machine, whatever becomes of its
 * clock. What was asked for earlier never replaces what was asked for later.
 */
export interface Asked {
  /** Names the boot of the machine that `steady_ms` counts from; '' where nobody knows. */
  readonly boot: string
  /** By the machine's steady clock, in milliseconds. */
  readonly steady_ms: number
  /** By the clock on the wall, in milliseconds since 1970. */
  readonly at: number
}

// As it was when dynacode was loaded, like `steadyNow`; this one is the same in every process of the machine.
const hrtime = process.hrtime.bind(process)

/** Now. */
export function askNow(): Asked {
  const [seconds, nanoseconds] = hrtime()
  return Object.freeze({
    boot: nameBoot(),
    steady_ms: roundSteady(seconds * 1000 + nanoseconds / 1_000_000),
    at: Date.now(),
  })
}

/** Two processes know the same boot by the same name. Where the system has none, the wall's clock is between them. */
function nameBoot(): string {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
    return `${boot} ${readlinkSync('/proc/self/ns/time')}`
  } catch {
    return `${process.pid} ${performance.timeOrigin}`
  }
}

/** When it was, if this is known by the wall's clock alone. */
export function askedAt(at: number): Asked {
  return Object.freeze({ boot: '', steady_ms: 0, at })
}

/** So much sooner, in milliseconds; never later. */
export function earlier({ boot, steady_ms, at }: Asked, ms: number): Asked {
  const sooner_ms = Math.max(0, ms)
  return Object.freeze({ boot, steady_ms: roundSteady(steady_ms - sooner_ms), at: Math.round(at - sooner_ms) })
}

/** Whether `a` was asked for later than `b`. What claims to be of the future was not. */
export function isLater(a: Asked, b: Asked): boolean {
  if (a.boot === '' || a.boot !== b.boot) return a.at > b.at && a.at <= Date.now()
  const now = askNow()
  return a.steady_ms > b.steady_ms && (a.boot !== now.boot || a.steady_ms <= now.steady_ms)
}

/** The wall's clock may have been set between the two, by more than clocks are set all the time. */
const SET_MS = 1000

/** The time on the wall at which something was asked for, as it was when `frame` was; undefined where that cannot be told. */
export function wallTimeOf({ boot, steady_ms, at }: Asked, frame: Asked): number | undefined {
  const passed_ms = steady_ms - frame.steady_ms
  return boot === frame.boot && Math.abs(at - frame.at - passed_ms) < SET_MS ? frame.at + passed_ms : undefined
}

/** The same the other way round. */
export function askedAtWallTime(at: number, frame: Asked): Asked {
  const steady_ms = roundSteady(frame.steady_ms + Math.max(0, at - frame.at))
  return Object.freeze({ boot: frame.boot, steady_ms, at: Math.round(at) })
}

/** To what a file's time can keep. */
const roundSteady = (ms: number) => Math.round(ms * 100) / 100
