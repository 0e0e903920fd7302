import { type Evidence, gatherEvidence, placeBets } from './evidence.ts'

/** Holds one rate of a rollout against its limit. */
export interface Limit {
  /** What was seen counts for the limit, or is as in the control group. */
  pass(): void
  /**
   * What was seen is not 0.
   *
   * @param difference as `Evidence` takes it
   * @returns whether the rate is over its limit
   */
  observe(difference: number): boolean
  /** Half of the window is over. */
  turn(): void
}

/**
 * Begins to hold a rate against its limit, over all of the rollout, and over its last window by itself: what went well
 * before that says nothing of what goes wrong now. Two tests look back, one that began half a window after the other, so that
 * there is always one that has seen half a window at least, and none that has seen more than a whole one. Each of them
 * has a share of its own of the probability to be wrong, and all of these add up to it.
 *
 * @param alpha the probability with which a rate within its limit is ever taken for one that is not
 * @param has_control as `placeBets` takes it
 */
export function holdLimit(limit: number, has_control: boolean, alpha: number): Limit {
  const odds = placeBets(limit, has_control)
  let zeros = 0
  let seen = 0
  let begun = 0
  let seen_before = 0
  const whole = gatherEvidence(odds, alpha / 2, 0)
  let earlier: Evidence | undefined
  let recent = begin()

  function begin(): Evidence {
    begun += 1
    return gatherEvidence(odds, alpha / 2 / (begun * (begun + 1)), zeros)
  }

  return {
    pass() {
      zeros += 1
    },
    observe(difference) {
      seen += 1
      // All of them have to see it.
      const of_recent = recent.observe(difference, zeros)
      const of_earlier = earlier?.observe(difference, zeros) === true
      return whole.observe(difference, zeros) || of_recent || of_earlier
    },
    turn() {
      const now = zeros + seen
      // A test that has seen nothing is as good as a new one, and costs no share.
      earlier = now === seen_before ? undefined : recent
      if (now !== seen_before) recent = begin()
      seen_before = now
    },
  }
}
