import type { Clock } from '../time/clock.ts'

/** A time: milliseconds since 1970, a Date, or an ISO 8601 text. */
export type Time = number | Date | string

/** A clock that is set by hand. */
export interface TestClock extends Clock {
  set(time: Time): void
  /** Calls back whatever waits for a time that has come. */
  check(): void
}

/** Makes a clock that stands still, follows a function, or goes as that of the machine until it is set. */
export function createTestClock(now: Time | (() => Time) | undefined): TestClock {
  const waiting = new Set<{ readonly time: number; readonly callback: () => void }>()
  const standAt = (time: Time) => {
    const standing = toMilliseconds(time)
    return () => standing
  }
  let read = () => Date.now()
  if (typeof now === 'function') read = () => toMilliseconds(now())
  else if (now !== undefined) read = standAt(now)

  const clock: TestClock = {
    now: () => read(),
    steady: () => read(),
    at(time, callback) {
      const entry = { time, callback }
      waiting.add(entry)
      return () => waiting.delete(entry)
    },
    set(time) {
      read = standAt(time)
      clock.check()
    },
    check() {
      const time = read()
      for (const entry of waiting) {
        if (entry.time > time) continue
        waiting.delete(entry)
        entry.callback()
      }
    },
  }
  return Object.freeze(clock)
}

/** Makes what plugin code finds as `Date`: that of the process, but for what time it is. */
export function createDate({ now }: Clock): DateConstructor {
  return new Proxy(Date, {
    construct: (target, given, made) => Reflect.construct(target, given.length === 0 ? [now()] : given, made),
    apply: () => String(new Date(now())),
    get: (target, key) => (key === 'now' ? now : Reflect.get(target, key)),
  })
}

export function toMilliseconds(time: Time): number {
  const milliseconds = typeof time === 'number' ? time : new Date(time).getTime()
  if (Number.isFinite(milliseconds)) return milliseconds
  throw new TypeError(`expected a time: milliseconds since 1970, a Date or an ISO 8601 text, got ${String(time)}`)
}
