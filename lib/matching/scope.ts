import { type Clock, SYSTEM_CLOCK } from '../time/clock.ts'
import { type Condition, createPredicate, type Predicate } from './condition.ts'
import { listPaths } from './path-pattern.ts'
import type { Draw } from './request-key.ts'
import { createShare, type Share, type ShareGuard, type ShareUnit } from './rollout.ts'
import type { StopRules } from './stop-when.ts'

/** Which requests a plugin is for, and from when until when. Times in milliseconds since 1970. */
export interface Scope {
  readonly enabled: boolean
  readonly when: Condition | undefined
  readonly share: Share | undefined
  /** When its share of the traffic is taken back. */
  readonly stop_when: StopRules | undefined
  readonly starts_at: number | undefined
  readonly expires_at: number | undefined
}

/**
 * Builds the predicate of a plugin's scope; null when it is for every request of its domain, at any time.
 *
 * @param guard watches the share
 * @param unit of the plugins that have the share together
 */
export function createScopeTest(
  { when, share, starts_at, expires_at }: Scope,
  draw: Draw,
  { now }: Clock = SYSTEM_CLOCK,
  guard: ShareGuard | null = null,
  unit: ShareUnit | null = null,
): Predicate | null {
  const tests: Predicate[] = []
  if (starts_at !== undefined) tests.push(() => now() >= starts_at)
  if (expires_at !== undefined) tests.push(() => now() < expires_at)
  if (when !== undefined) tests.push(createPredicate(when))
  // The last one: the requests that only this leaves out are what the others are compared with.
  if (share !== undefined) tests.push(createShare(share, draw, guard, now, unit))
  if (tests.length === 0) return null
  const [only] = tests
  return tests.length === 1 ? (only as Predicate) : (ctx) => tests.every((holds) => holds(ctx))
}

/** The only paths for which a plugin may apply, in lower case; undefined when these cannot be listed. */
export function listScopePaths({ when }: Scope): readonly string[] | undefined {
  if (when?.paths !== undefined) return listPaths([when.paths].flat())
  return when?.paths_raw === undefined ? undefined : listPaths([when.paths_raw].flat(), 'sent')
}
