import type { Definition, Sample } from './definition.ts'
import type { Labels } from './label-sets.ts'
import type { Scrapes } from './scrape.ts'

/**
 * A metric as prom-client's registers take it. Its own kinds look a series up by its labels at each observation; this one
 * reads what was counted when it is asked.
 */
export interface Metric {
  /** Registers for OpenMetrics change it. */
  name: string
  readonly help: string
  readonly type: Definition['type']
  readonly aggregator: Definition['aggregator']
  /** The instances that it reports, by their labels: one register may have several. */
  readonly [INSTANCES]: Map<string, Scrapes>
  get(): Promise<Scraped>
  /** As `get`, with the labels apart that many values have together: what a register makes text of. */
  getForPromString(): Promise<Scraped>
  /** Does nothing: what is counted here belongs to the instance. */
  reset(): void
}

interface Value {
  readonly value: number
  readonly labels: Readonly<Record<string, string | number>>
  readonly sharedLabels?: Labels
  readonly metricName?: string
}
interface Scraped extends Pick<Metric, 'name' | 'help' | 'type' | 'aggregator'> {
  readonly values: readonly Value[]
}

/** How a metric of dynacode's is told from others in a register. */
export const INSTANCES: unique symbol = Symbol('instances')

/** Makes a metric for no instance so far. */
export function createMetric(definition: Definition, prefix: string): Metric {
  const { help, type, aggregator } = definition
  const instances = new Map<string, Scrapes>()

  async function scrape(metric: Metric, toValue: (sample: Sample, name: string) => Value): Promise<Scraped> {
    const each = [...instances.values()].map((scrapes) => scrapes.take(definition.read))
    const samples = (await Promise.all(each)).flat()
    const { name } = metric
    return { name, help, type, aggregator, values: samples.map((sample) => toValue(sample, name)) }
  }

  return {
    name: prefix + definition.name,
    help,
    type,
    aggregator,
    [INSTANCES]: instances,
    get() {
      return scrape(this, ({ shared, own, suffix, value }, name) => ({
        value,
        labels: { ...shared, ...own },
        ...(suffix === undefined ? {} : { metricName: name + suffix }),
      }))
    },
    getForPromString() {
      return scrape(this, ({ shared, own = NONE, suffix, value }, name) => ({
        value,
        labels: own,
        sharedLabels: shared,
        ...(suffix === undefined ? {} : { metricName: name + suffix }),
      }))
    },
    reset() {},
  }
}

const NONE = Object.freeze({})
