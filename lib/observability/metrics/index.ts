import {
  register as defaultRegister,
  type OpenMetricsContentType,
  type PrometheusContentType,
  type Registry,
} from 'prom-client'
import * as z from 'zod'
import type { Status } from '../../control/status.ts'
import { OptionError } from '../../errors.ts'
import type { DynacodeEmitter } from '../../events/emitter.ts'
import { OBSERVE_RUNS, type RunObservers } from '../../events/run-observers.ts'
import { checkArguments } from '../../validation/arguments.ts'
import { createTallies } from '../tallies.ts'
import { createMetric, INSTANCES, type Metric } from './family.ts'
import { createLabelSets, type Labels } from './label-sets.ts'
import { createScrapes } from './scrape.ts'
import { METRICS } from './table.ts'

/** Options of `collect`. */
export interface CollectOptions {
  /**
   * The register of prom-client for the metrics.
   *
   * @default prom-client's own, `register`
   */
  readonly register?: Registry<PrometheusContentType> | Registry<OpenMetricsContentType>
  /**
   * Prefix of the metrics' names.
   *
   * @default 'dynacode_'
   */
  readonly prefix?: string
  /** Labels for every series of this instance. Two instances on one register need different labels or prefixes. */
  readonly labels?: Readonly<Record<string, string>>
  /**
   * How many plugins get their own series. All others are counted as plugin `other` of domain `other`. Each plugin has 15
   * series for each outcome that has occurred, plus one or two.
   *
   * @default 200
   */
  readonly max_plugins?: number
}

/** What `collect` uses of an instance. */
export interface Observed {
  readonly events: DynacodeEmitter
  status(): Status
  readonly [OBSERVE_RUNS]?: RunObservers['add']
}

const OWN_LABELS: ReadonlySet<string> = new Set(['le', ...METRICS.flatMap(({ labels }) => labels)])
const schema = z.strictObject({
  register: z.custom<Registry>(isRegister, 'a register of prom-client').default(() => defaultRegister),
  prefix: z
    .string()
    .regex(/^([a-zA-Z_:][\w:]*)?$/, 'the beginning of a name of a metric')
    .default('dynacode_'),
  labels: z
    .custom<Labels>(
      areLabels,
      'an object of strings, under names that are good for labels and that no metric has itself',
    )
    .default({}),
  max_plugins: z.int().min(0).default(200),
})

/**
 * Exports the metrics of an instance to prom-client: its state, its events, and the runs of its plugins. Counting starts
 * with this call. A scrape blocks the event loop for a few milliseconds in total, in several turns.
 *
 * @returns a function that removes the metrics from the register and stops counting. The first scrape after `close()` does
 *   this automatically
 * @throws OptionError if an option is wrong, or the register already has a metric of that name
 * @example
 * const stop = collect(dyna)
 */
export function collect(dyna: Observed, options: CollectOptions = {}): () => void {
  const { register, prefix, labels, max_plugins } = checkArguments('collect', schema, options)
  const key = keyOf(labels)
  const metrics = METRICS.map((definition) => {
    const name = prefix + definition.name
    const found = find(register, name)
    return { name, metric: found ?? createMetric(definition, prefix), isNew: found === undefined }
  })
  if (metrics.some(({ metric }) => metric[INSTANCES].has(key))) {
    const message = 'expected labels that no other instance on this register has, or another prefix'
    throw new OptionError('labels', `collect: option labels: ${message}`)
  }
  const tallies = createTallies(dyna.events, { max: max_plugins, observeRuns: dyna[OBSERVE_RUNS] })
  const label_sets = createLabelSets(labels)
  const scrapes = createScrapes(() => {
    const status = dyna.status()
    tallies.retain(status.plugins)
    if (status.closed) stop()
    return { status, tallies, labels, label_sets }
  })
  for (const { metric, isNew } of metrics) {
    metric[INSTANCES].set(key, scrapes)
    if (isNew) register.registerMetric(metric as never)
  }

  function stop(): void {
    tallies.close()
    for (const { name, metric } of metrics) {
      if (metric[INSTANCES].get(key) === scrapes) metric[INSTANCES].delete(key)
      if (metric[INSTANCES].size === 0 && isSame(register, name, metric)) register.removeSingleMetric(name)
    }
  }
  return stop
}

/** The metric of that name that other instances have put there. */
function find(register: Registry, name: string): Metric | undefined {
  const metric = register.getSingleMetric(name) as Partial<Metric> | undefined
  if (metric === undefined || metric[INSTANCES] !== undefined) return metric as Metric | undefined
  throw new OptionError('prefix', `collect: option prefix: the register has another metric named ${name}`)
}

function isSame(register: Registry, name: string, metric: Metric): boolean {
  return (register.getSingleMetric(name) as unknown) === metric
}

function isRegister(value: unknown): boolean {
  const { registerMetric, getSingleMetric } = (value ?? {}) as Partial<Registry>
  return typeof registerMetric === 'function' && typeof getSingleMetric === 'function'
}

function areLabels(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  return Object.entries(value).every(
    ([name, text]) => /^(?!__)[a-zA-Z_]\w*$/.test(name) && !OWN_LABELS.has(name) && typeof text === 'string',
  )
}

const keyOf = (labels: Labels) => JSON.stringify(Object.entries(labels).sort())
