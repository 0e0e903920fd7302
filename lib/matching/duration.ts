import * as z from 'zod'

const UNITS_MS: Readonly<Record<string, number>> = Object.freeze({
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
})
const DURATION = /^(\d{1,9}(?:\.\d{1,3})?)(ms|s|m|h|d)$/

/**
 * A length of time as documents write it: a number with its unit, `ms`, `s`, `m`, `h` or `d`.
 *
 * @internal
 */
export const durationSchema = z.string().regex(DURATION, 'a length of time such as "30s", "10m", "1h" or "2d"')

/** A length of time in milliseconds. */
export function readDuration(text: string): number {
  const [, count, unit] = DURATION.exec(text) as RegExpExecArray
  return Number(count) * (UNITS_MS[unit as string] as number)
}
