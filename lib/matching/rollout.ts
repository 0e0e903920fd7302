import type { Context } from 'koa'
import * as z from 'zod'
import type { Predicate } from './condition.ts'
import { createKeyReader, type Draw, type KeyNames, keyNamesSchema } from './request-key.ts'
import { type RolloutStep, type Schedule, stepAt, stepSchema } from './rollout-steps.ts'
import { type StopWhen, stopWhenSchema } from './stop-when.ts'

/** A share of the traffic, as a document has it. */
export interface Rollout {
  /** From 0 to 100. */
  percent?: number | undefined
  /** The key of a request: `ip`, `random`, `header:…`, `cookie:…` or `query:…`; of a list, the first that the request has. */
  by?: string | string[] | undefined
  /** Shares that follow each other from `starts_at` on, in place of `percent`. */
  steps?: RolloutStep[] | undefined
  /** When it stops itself. */
  stop_when?: StopWhen | undefined
}

/**
 * A share of the traffic.
 *
 * @internal
 */
export const rolloutSchema = z.strictObject({
  percent: z.number().min(0).max(100).optional(),
  by: keyNamesSchema.default('ip'),
  steps: z.array(stepSchema).min(1).max(100).optional(),
  stop_when: stopWhenSchema.optional(),
})

/** A share of the traffic: from one point of the hundred to another, by a key of the request. */
export interface Share {
  readonly by: KeyNames
  readonly from: number
  readonly to: number
  /** What keeps the shares of different plugins apart: their name. */
  readonly salt: string
  /** Where it grows by the time: `to` is what it comes to in the end. */
  readonly schedule?: Schedule
}

/** Watches a share of the traffic, and may end it. */
export interface ShareGuard {
  /** Null while the share is not ended. */
  stop(): object | null
  /** A request meets everything but the share, and is inside or left out. */
  met(ctx: Context, is_inside: boolean): void
}

/** Has several plugins decide as one. */
export interface ShareUnit {
  /** What was decided for this request, by whichever of them was asked first. */
  choose(ctx: Context, decide: (ctx: Context) => boolean | undefined): boolean | undefined
}

/**
 * Builds the predicate that is true for this share of the traffic.
 *
 * @param guard is asked, and hears of each request, before the plugin runs or is left out
 * @param now what time it is, for a share that grows by the time
 * @param unit of the plugins that this one decides with
 */
export function createShare(
  share: Share,
  draw: Draw,
  guard: ShareGuard | null = null,
  now = Date.now,
  unit: ShareUnit | null = null,
): Predicate {
  const decide = createDecision(share, draw, now)
  if (unit !== null) {
    return (ctx) => {
      const is_inside = unit.choose(ctx, decide)
      if (is_inside !== undefined && guard?.stop() === null) guard.met(ctx, is_inside)
      return is_inside === true
    }
  }
  if (guard === null) return (ctx) => decide(ctx) === true
  return (ctx) => {
    if (guard.stop() !== null) return false
    const is_inside = decide(ctx)
    // One that cannot be told apart is no match for those that can: a client without cookies may well be a machine.
    if (is_inside !== undefined) guard.met(ctx, is_inside)
    return is_inside === true
  }
}

/** Tells whether a request is in a share; undefined where it has no key, and so is in none. */
function createDecision({ by, from, to, salt, schedule }: Share, draw: Draw, now: () => number) {
  const isEverybody = (end: number) => from <= 0 && end >= 100
  if (schedule === undefined && isEverybody(to)) return () => true
  // Each variant of a plugin asks for itself: by chance of their own, a request could be in two of them, or in none.
  const read = createKeyReader(by, draw)
  const readEnd = schedule === undefined ? () => to : () => stepAt(schedule, now())?.percent ?? 0
  return (ctx: Context): boolean | undefined => {
    const end = readEnd()
    if (isEverybody(end)) return true
    const key = read(ctx)
    // Who cannot be told apart is in no share: the same visitor would be in and out by turns.
    if (key === undefined) return undefined
    const point = pointOf(`${salt}:${key}`)
    return point >= from && point < end
  }
}

/** How much of the traffic a share has at a time, in milliseconds since 1970: from 0 to 100. */
export function percentAt({ from, to, schedule }: Share, time: number): number {
  return schedule === undefined ? to - from : (stepAt(schedule, time)?.percent ?? 0)
}

/**
 * Where in the hundred a key stands, the same on every process and machine: FNV-1a over its UTF-16 units, stirred as
 * MurmurHash3 ends (both in the public domain), since FNV alone spreads short keys badly.
 */
function pointOf(key: string): number {
  let hash = 0x811c9dc5
  for (let index = 0; index < key.length; index += 1) {
    const unit = key.charCodeAt(index)
    hash = Math.imul(hash ^ (unit & 0xff), 0x01000193)
    hash = Math.imul(hash ^ (unit >>> 8), 0x01000193)
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return ((hash ^ (hash >>> 16)) >>> 0) * (100 / 2 ** 32)
}
