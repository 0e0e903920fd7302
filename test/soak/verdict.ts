/** What has happened so far, so that it is seen that something did. */
export interface Counts {
  reloads: number
  compiled: number
  /** Plugins that did not compile. */
  refused: number
  runs: number
  failed_runs: number
}

/** The process at rest, after collecting garbage. */
export interface Sample extends Counts {
  /** Bytes in use, on the heap and outside of it. */
  readonly heap: number
  /** What keeps the process busy, but for connections, by name. */
  readonly handles: readonly string[]
}

/** What one stretch of load came to. */
export interface Stretch {
  readonly sample: Sample
  readonly requests: number
  readonly failed: number
  /** Median and 99th percentile of the time of a request, in milliseconds. */
  readonly p50_ms: number
  readonly p99_ms: number
}

/** What the heap may grow by from the first third of the stretches to the last: garbage collection is no exact science. */
const HEAP_SLACK = { bytes: 1024 * 1024, share: 0.02 }
/** What the median time of a request may be in the last third, of the first; and a busy machine's share of it. */
const TIME_SLACK = { ratio: 1.5, ms: 0.5 }

const thirds = <T>(items: readonly T[]): [T[], T[]] => {
  const length = Math.ceil(items.length / 3)
  return [items.slice(0, length), items.slice(-length)]
}
const middle = (values: readonly number[]) =>
  values.toSorted((a, b) => a - b)[Math.floor((values.length - 1) / 2)] as number

/**
 * Says what is not flat. The first and the last third are compared, warm-up left out by the caller: the heap by its
 * middle sample, the time by its best stretch, since what else the machine does makes stretches slower and never faster.
 */
export function judge(stretches: readonly Stretch[]): string[] {
  const [first, last] = thirds(stretches)
  const faults: string[] = []
  const heaps = [first, last].map((third) => middle(third.map(({ sample }) => sample.heap))) as [number, number]
  const most = heaps[0] * (1 + HEAP_SLACK.share) + HEAP_SLACK.bytes
  if (heaps[1] > most) faults.push(`the heap grew from ${megabytes(heaps[0])} to ${megabytes(heaps[1])}`)
  const best = [first, last].map((third) => Math.min(...third.map(({ p50_ms }) => p50_ms))) as [number, number]
  if (best[1] > best[0] * TIME_SLACK.ratio + TIME_SLACK.ms) {
    faults.push(`a request took ${best[0].toFixed(2)} ms at first, and ${best[1].toFixed(2)} ms in the end`)
  }
  const [before, after] = [first[0], last.at(-1)].map((stretch) => stretch?.sample.handles.join() ?? '')
  if (before !== after) faults.push(`handles were ${before || 'none'} at first, and ${after || 'none'} in the end`)
  const failed = stretches.reduce((sum, stretch) => sum + stretch.failed, 0)
  if (failed > 0) faults.push(`${failed} requests failed`)
  const { reloads, refused, runs, failed_runs } = (last.at(-1) as Stretch).sample
  for (const [name, count] of Object.entries({ reloads, refused, runs, failed_runs })) {
    // A soak in which nothing happens finds nothing.
    if (count < stretches.length) faults.push(`only ${count} ${name}: too few to say anything`)
  }
  return faults
}

/** Bytes as people read them. */
export const megabytes = (bytes: number) => `${(bytes / 1024 / 1024).toFixed(2)} MB`
