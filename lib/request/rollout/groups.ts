import type { Limit } from './limit.ts'

/** Compares a rate of the rollout with that of the requests that it leaves out. */
export interface Comparison {
  /**
   * One of either group.
   *
   * @returns whether the rollout's rate is over its limit
   */
  add(is_control: boolean, is_bad: boolean): boolean
  /** What is bad is another thing from now on: what came so far is not compared with what comes. */
  restart(): void
}

/**
 * Begins to compare. What comes is taken in blocks, each with at least one of both groups, since what is bad for all of the app
 * at a time is then no evidence against the rollout.
 */
export function compareGroups(limit: Limit): Comparison {
  let [inside, inside_bad, outside, outside_bad] = [0, 0, 0, 0]

  function restart(): void {
    inside = inside_bad = outside = outside_bad = 0
  }

  return {
    restart,
    add(is_control, is_bad) {
      const bad = is_bad ? 1 : 0
      if (is_control) {
        outside += 1
        outside_bad += bad
      } else {
        inside += 1
        inside_bad += bad
      }
      if (inside === 0 || outside === 0) return false
      const difference = inside_bad / inside - outside_bad / outside
      restart()
      if (difference !== 0) return limit.observe(difference)
      limit.pass()
      return false
    },
  }
}
