import type { Labels } from './label-sets.ts'
import type { Snapshot } from './scrape.ts'

/** One line of what is scraped. */
export interface Sample {
  /** Labels that many samples have together; the same object each time. */
  readonly shared: Labels
  readonly own?: Readonly<Record<string, string | number>>
  /** What follows the metric's name, as in `_bucket`. */
  readonly suffix?: string
  readonly value: number
}

/** A metric as it is documented, and how its samples are read. */
export interface Definition {
  /** Without the prefix. */
  readonly name: string
  readonly type: 'counter' | 'gauge' | 'histogram'
  readonly help: string
  /** Labels beside those that the instance was given; for the docs, and for what else asks the register. */
  readonly labels: readonly string[]
  /** How prom-client takes those of several workers of a cluster together. */
  readonly aggregator: 'sum' | 'min' | 'max'
  readonly read: (snapshot: Snapshot) => readonly Sample[]
}

/** A sample for each key, under a label. */
export function byKey(shared: Labels, label: string, values: Readonly<Record<string, number>>): Sample[] {
  return Object.entries(values).map(([key, value]) => ({ shared, own: { [label]: key }, value }))
}
