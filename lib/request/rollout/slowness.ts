/** Tells which times are among the slowest hundredth of the control group's. */
export interface Slowness {
  /** The time that one in a hundred takes longer than, in milliseconds; undefined while too few were seen. */
  bound_ms(): number | undefined
  /**
   * Takes the time of one more.
   *
   * @returns whether the bound is another one now
   */
  add(time_ms: number): boolean
}

/** Times that are kept, the latest: a time of day when all is slower has a bound of its own. */
const KEPT = 512
const FEWEST = 128

/** Begins to learn what is slow. Where the bound lies decides how soon a slower group shows, not whether it is blamed unduly. */
export function learnSlowness(): Slowness {
  const times = new Float64Array(KEPT)
  let count = 0
  let bound: number | undefined

  return {
    bound_ms: () => bound,
    add(time_ms) {
      times[count % KEPT] = time_ms
      count += 1
      if (count % FEWEST !== 0) return false
      const sorted = times.slice(0, Math.min(count, KEPT)).sort()
      bound = sorted[Math.ceil(sorted.length * 0.99) - 1]
      return true
    },
  }
}
