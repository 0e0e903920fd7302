/** The value below which the share `p` of the sorted values lies, between two of them if need be. */
export function quantile(sorted, p) {
  const place = (sorted.length - 1) * p
  const below = Math.floor(place)
  const above = Math.min(below + 1, sorted.length - 1)
  return sorted[below] + (sorted[above] - sorted[below]) * (place - below)
}

/** The middle one of some numbers. */
export function median(values) {
  return summarize(values).median
}

/**
 * The median, the bounds of the middle half, and how far the median itself can be trusted: half the width of its 95 %
 * interval, from the ranks of the values, so that no shape of their distribution is supposed.
 */
export function summarize(values) {
  const sorted = values.toSorted((a, b) => a - b)
  const share = 0.98 / Math.sqrt(sorted.length)
  const low = quantile(sorted, Math.max(0, 0.5 - share))
  const high = quantile(sorted, Math.min(1, 0.5 + share))
  return {
    count: sorted.length,
    median: quantile(sorted, 0.5),
    lower: quantile(sorted, 0.25),
    upper: quantile(sorted, 0.75),
    error: (high - low) / 2,
  }
}

/**
 * The summaries of each side, and under `against` those of A against each of the others.
 *
 * @param values the values of a side
 * @param compare summaries of A against a side
 */
export function summarizeSides(sides, values, compare) {
  const each = (chosen, summary) => Object.fromEntries(chosen.map((side) => [side, summary(side)]))
  return { ...each(sides, (side) => summarize(values(side))), against: each(sides.slice(1), compare) }
}
