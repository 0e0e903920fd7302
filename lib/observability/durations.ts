/**
 * Upper bounds of the buckets into which durations are counted, in seconds: from a plugin that sets a header to one that
 * waits for its whole `timeout_ms`. The default `budget_ms` is one of them.
 */
export const BOUNDS: readonly number[] = Object.freeze([
  0.00001, 0.000025, 0.0001, 0.00025, 0.001, 0.0025, 0.01, 0.025, 0.05, 0.25, 1, 5,
])

/** How long something took, each time: enough to estimate any quantile, in the same room however often. */
export interface Durations {
  count: number
  /** Of all of them, in seconds. */
  seconds: number
  /** How many were in each bucket, not in those below it too; the last one has what is beyond all bounds. */
  readonly buckets: Float64Array
}

/** Begins with none. */
export function createDurations(): Durations {
  return { count: 0, seconds: 0, buckets: new Float64Array(BOUNDS.length + 1) }
}

/** Counts one more. */
export function addDuration(durations: Durations, seconds: number): void {
  let bucket = 0
  // From below: nearly all are short.
  while (bucket < BOUNDS.length && seconds > (BOUNDS[bucket] as number)) bucket += 1
  durations.buckets[bucket] = (durations.buckets[bucket] as number) + 1
  durations.count += 1
  durations.seconds += seconds
}

/**
 * The duration, in seconds, that a share of all did not exceed, taking those of one bucket as evenly spread; undefined
 * when there were none. What is beyond all bounds counts as the highest of them.
 *
 * @param share 0.5 for the median, 0.99 for the 99th percentile
 * @param all durations to be taken together
 */
export function estimateQuantile(share: number, ...all: readonly Durations[]): number | undefined {
  const total = all.reduce((sum, { count }) => sum + count, 0)
  if (total === 0) return undefined
  const wanted = total * share
  let below = 0
  for (const [bucket, upper] of BOUNDS.entries()) {
    const here = all.reduce((sum, { buckets }) => sum + (buckets[bucket] as number), 0)
    if (here > 0 && below + here >= wanted) {
      const lower = bucket === 0 ? 0 : (BOUNDS[bucket - 1] as number)
      return lower + (upper - lower) * ((wanted - below) / here)
    }
    below += here
  }
  return BOUNDS.at(-1)
}
