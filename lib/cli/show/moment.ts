const UNITS: readonly (readonly [name: string, ms: number])[] = [
  ['day', 86_400_000],
  ['h', 3_600_000],
  ['min', 60_000],
  ['s', 1000],
]

/** A time as ISO 8601 and as the distance from now: `2030-01-31T12:00:00Z (5 min ago)`. */
export function describeMoment(at: number, now: number = Date.now()): string {
  return `${new Date(at).toISOString().replace(/\.\d+/, '')} (${describeDistance(at, now)})`
}

/** The distance of a time from now: `5 min ago`, `in 12 s`. */
export function describeDistance(at: number, now: number): string {
  const ms = at - now
  const [name, size] = UNITS.find(([, each]) => Math.abs(ms) >= each) ?? ['s', 1000]
  const count = Math.round(Math.abs(ms) / size)
  if (count === 0) return 'now'
  const text = `${count} ${name === 'day' && count > 1 ? 'days' : name}`
  return ms < 0 ? `${text} ago` : `in ${text}`
}
