import { resolve } from 'node:path'
import * as z from 'zod'
import { LONGEST_TIMER_MS } from '../time/clock.ts'

// The range of setTimeout, outside of which it fires at once.
const SHORTEST_TIMER_SECONDS = 0.001
/** Longest time that a timer can wait for, in seconds. */
export const LONGEST_TIMER_SECONDS = LONGEST_TIMER_MS / 1000

/** A time in seconds that a timer can wait for. */
export const seconds = z.number().min(SHORTEST_TIMER_SECONDS).max(LONGEST_TIMER_SECONDS)
/** A time in milliseconds that a timer can wait for. */
export const milliseconds = z.number().positive().max(LONGEST_TIMER_MS)
/** How many there are, or may be. */
export const count = z.int().positive()
/** A path, as it is now: the process may go to another folder later. */
export const filePath = z
  .string()
  .min(1)
  .transform((path) => resolve(path))
/** A function, of which no more can be told. */
export const callback = z.custom<() => unknown>((value) => typeof value === 'function', 'a function')
/** Where to send requests to. */
export const httpAddress = z.url({ protocol: /^https?$/, error: 'an http: or https: URL' })

/** An object of another's making that can do this. */
export const withMethod = <T>(method: string, message: string) =>
  z.custom<T>((value) => typeof (value as Record<string, unknown> | null)?.[method] === 'function', message)
