import type { PluginState, PluginStatus } from '../../control/status.ts'
import type { Outcome } from '../../events/run-observers.ts'
import { BOUNDS, type Durations } from '../durations.ts'
import { OTHER } from '../tallies.ts'
import type { Tally } from '../tally.ts'
import { byKey, type Definition, type Sample } from './definition.ts'
import type { Labels } from './label-sets.ts'
import type { Snapshot } from './scrape.ts'

const OUTCOMES: readonly Outcome[] = ['done', 'exit', 'open', 'closed']
const NO_STATES = {
  live: 0,
  last_good: 0,
  refused: 0,
  guarded: 0,
  quarantined: 0,
  disabled: 0,
  scheduled: 0,
  expired: 0,
  shadow: 0,
  stopped: 0,
} satisfies Record<PluginState, 0>
const OF_PLUGIN = ['domain', 'plugin', 'phase'] as const
const BUCKETS = [...BOUNDS, '+Inf'].map((le) => Object.freeze({ le }))
const counter = { type: 'counter', aggregator: 'sum' } as const
const gauge = { type: 'gauge', labels: [] } as const

/** What plugins do, and how they fare. */
export const PLUGIN_METRICS: readonly Definition[] = Object.freeze([
  {
    name: 'plugin_duration_seconds',
    type: 'histogram',
    aggregator: 'sum',
    help: 'Time from the start of a run of a plugin to its end, waiting included, by outcome.',
    labels: [...OF_PLUGIN, 'outcome'],
    read: ({ tallies, label_sets }) =>
      tallies
        .plugins()
        .flatMap((tally) =>
          OUTCOMES.filter((outcome) => tally.runs[outcome].count > 0).flatMap((outcome) =>
            readHistogram(label_sets.ofRuns(tally, outcome), tally.runs[outcome]),
          ),
        ),
  },
  {
    ...counter,
    name: 'plugin_event_loop_seconds_total',
    help: 'Time for which the runs of a plugin kept the event loop.',
    labels: OF_PLUGIN,
    read: (snapshot) => byPlugin(snapshot, ({ sync_seconds }) => sync_seconds),
  },
  {
    ...counter,
    name: 'plugin_shadow_runs_total',
    help: 'Runs of a plugin in shadow mode.',
    labels: OF_PLUGIN,
    read: (snapshot) => byPlugin(snapshot, ({ shadow }) => shadow.runs).filter(({ value }) => value > 0),
  },
  {
    ...gauge,
    name: 'plugins',
    aggregator: 'max',
    help: 'Plugins of the live document, by state.',
    labels: ['state'],
    read: ({ status: { plugins }, labels }) => byKey(labels, 'state', countStates(plugins)),
  },
  {
    ...gauge,
    name: 'breakers_open',
    aggregator: 'max',
    help: 'Plugins whose breaker is open or half open.',
    read: ({ status: { plugins }, labels }) => [{ shared: labels, value: plugins.filter(isOpen).length }],
  },
  {
    ...gauge,
    name: 'plugin_breaker_open',
    aggregator: 'max',
    help: 'Plugins of these labels whose breaker is open or half open; absent where none is.',
    labels: OF_PLUGIN,
    read: (snapshot) => countMarked(snapshot, isOpen),
  },
  {
    ...gauge,
    name: 'plugin_rollout_stopped',
    aggregator: 'max',
    help: 'Plugins of these labels whose rollout stopped itself; absent where none has.',
    labels: OF_PLUGIN,
    read: (snapshot) => countMarked(snapshot, ({ state }) => state === 'stopped'),
  },
] satisfies Definition[])

function byPlugin({ tallies, label_sets }: Snapshot, read: (tally: Tally) => number): Sample[] {
  return tallies.plugins().map((tally) => ({ shared: label_sets.of(tally), value: read(tally) }))
}

function readHistogram(shared: Labels, { count, seconds, buckets }: Durations): Sample[] {
  let below = 0
  const samples: Sample[] = BUCKETS.map((own, index) => {
    below += buckets[index] as number
    return { shared, own, suffix: '_bucket', value: below }
  })
  samples.push({ shared, suffix: '_sum', value: seconds }, { shared, suffix: '_count', value: count })
  return samples
}

function countStates(plugins: readonly PluginStatus[]): Record<PluginState, number> {
  const counts: Record<PluginState, number> = { ...NO_STATES }
  for (const { state } of plugins) counts[state] += 1
  return counts
}

/** Those without labels of their own are reported together, as everything else of them is. */
function countMarked(
  { status: { plugins }, tallies, labels, label_sets }: Snapshot,
  isMarked: (plugin: PluginStatus) => boolean,
): Sample[] {
  const marked = plugins.filter(isMarked)
  const counts = new Map<Labels, number>()
  const others = new Map(
    marked.map(({ phase }) => [phase, { ...labels, domain: OTHER, plugin: OTHER, phase: `${phase}` }]),
  )
  for (const plugin of marked) {
    const tally = tallies.find(plugin)
    const key = tally === undefined ? (others.get(plugin.phase) as Labels) : label_sets.of(tally)
    counts.set(key, (counts.get(key) ?? 0) + 1)
  }
  return [...counts].map(([shared, value]) => ({ shared, value }))
}

const isOpen = ({ breaker }: PluginStatus) => breaker !== 'closed'
