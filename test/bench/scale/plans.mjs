const [judged, others] = [
  { starts: 4, rounds: 5, requests: 2000 },
  { starts: 2, rounds: 4, requests: 2000 },
]

/** How long everything is measured. */
export const PLANS = {
  full: {
    calls: { processes: 1, duration_ms: 600 },
    http: { judged, others },
    unknown: 10_000,
    memory: 10_000,
    refresh: { turns: 5, count: 10_000, size: 950 },
    deltas: { count: 10_000, size: 950, turns: 21 },
    one_core: { count: 10_000, size: 787, measure_ms: 20_000 },
    start: { turns: 7, size: 10_000 },
  },
  quick: {
    calls: { processes: 1, duration_ms: 100 },
    http: { judged: { starts: 1, rounds: 1, requests: 500 }, others: { starts: 1, rounds: 1, requests: 500 } },
    unknown: 1000,
    memory: 1000,
    refresh: { turns: 1, count: 1000, size: 950 },
    deltas: { count: 1000, size: 950, turns: 3 },
    one_core: { count: 1000, size: 787, measure_ms: 3000 },
    start: { turns: 1, size: 1000 },
  },
}
