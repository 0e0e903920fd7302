import type { Phase } from '../document.ts'
import { type DynacodeEmitter, ownListener } from '../events/emitter.ts'
import type { RunObserver, RunObservers } from '../events/run-observers.ts'
import { CALLBACKS, type EventName, type Payload, type PluginInfo } from '../events/table.ts'
import { addDuration } from './durations.ts'
import { countShadow, createTally, type Tally } from './tally.ts'

/** Counts what plugins do and what events come, in bounded room. */
export interface Tallies {
  /** How often each event was emitted. `rt_plugins_starting` is not counted: to listen for it would cost every run. */
  readonly events: Readonly<Record<CountedEvent, number>>
  /** How refreshes ended: `updated`, or the reason why nothing changed. */
  readonly refreshes: Readonly<Record<string, number>>
  /** How often `on_error` came, by section. */
  readonly sections: Readonly<Record<string, number>>
  /** Every plugin that has run, those without a tally of their own as one for each phase, named `other`. */
  plugins(): readonly Tally[]
  /** The tally that counts for a plugin; undefined while it has none of its own, and when it has not run. */
  find(plugin: Named): Tally | undefined
  /**
   * Frees the tallies of plugins that are gone for longer than `keep_ms`, for others to have. What counted as `other`
   * stays there. To be called now and then; it costs something only after a document went live.
   *
   * @param live plugins of the document that is live at this moment
   * @param now in milliseconds since 1970
   */
  retain(live: readonly Named[], now?: number): void
  /** Stops to listen. */
  close(): void
}

/** Every event but the one before each run. */
export type CountedEvent = Exclude<EventName, 'rt_plugins_starting'>
/** What a plugin is known by, of whatever version. */
type Named = Pick<PluginInfo, 'domain' | 'name' | 'phase'>
interface Entry {
  readonly tally: Tally
  gone_since: number | null
}

/** Name and domain under which those count together that are beyond the bound. */
export const OTHER = 'other'
const COUNTED = Object.keys(CALLBACKS).filter((name) => name !== 'rt_plugins_starting') as CountedEvent[]

/**
 * Begins to count what an instance emits.
 *
 * @param max how many plugins get a tally of their own
 * @param observeRuns hears of the runs where that can be had for less than by events
 * @param keep_ms for how long that of a plugin stays which the document has no longer: somebody may still have to read it
 */
export function createTallies(
  emitter: DynacodeEmitter,
  {
    max,
    keep_ms = 300_000,
    observeRuns,
  }: { max: number; keep_ms?: number; observeRuns?: RunObservers['add'] | undefined },
): Tallies {
  const entries = new Map<string, Entry>()
  const others = new Map<Phase, Tally>()
  // A version's own object stands for it: to put its names together would cost each run.
  let known = new WeakMap<PluginInfo, Tally>()
  let changed = false
  const events = Object.fromEntries(COUNTED.map((name) => [name, 0])) as Record<CountedEvent, number>
  const refreshes: Record<string, number> = {}
  const sections: Record<string, number> = {}

  function learn(plugin: PluginInfo, phase: Phase): Tally {
    const tally = own({ ...plugin, phase }) ?? shared(phase)
    known.set(plugin, tally)
    return tally
  }

  function own(plugin: Named & { readonly phase: Phase }): Tally | undefined {
    const key = keyOf(plugin)
    const entry = entries.get(key)
    if (entry !== undefined) return entry.tally
    if (entries.size >= max || isOther(plugin)) return undefined
    const tally = createTally(plugin)
    entries.set(key, { tally, gone_since: null })
    return tally
  }

  function shared(phase: Phase): Tally {
    const tally = others.get(phase) ?? createTally({ domain: OTHER, name: OTHER, phase })
    others.set(phase, tally)
    return tally
  }

  function markGone(live: readonly Named[], now: number): void {
    const alive = new Set(live.map(keyOf))
    for (const [key, entry] of entries) entry.gone_since = alive.has(key) ? null : (entry.gone_since ?? now)
  }

  const record: RunObserver = (plugin, phase, outcome, duration_ms, sync_ms) => {
    const tally = known.get(plugin) ?? learn(plugin, phase)
    addDuration(tally.runs[outcome], duration_ms / 1000)
    tally.sync_seconds += sync_ms / 1000
    if (outcome === 'done' || outcome === 'exit') events.rt_plugins_done += 1
    else events.rt_plugins_error += 1
  }
  const recordEvent = ({ plugin, phase, outcome, duration_ms, sync_ms }: Run) =>
    record(plugin, phase, outcome, duration_ms, sync_ms)

  const listeners: Listeners = {
    ...(Object.fromEntries(COUNTED.map((name) => [name, () => increment(events, name)])) as Listeners),
    rt_plugins_done: recordEvent,
    rt_plugins_error: recordEvent,
    rt_plugins_shadow({ plugin, phase, effects }) {
      events.rt_plugins_shadow += 1
      countShadow((known.get(plugin) ?? learn(plugin, phase)).shadow, effects)
    },
    bg_updated_plugins() {
      events.bg_updated_plugins += 1
      increment(refreshes, 'updated')
      changed = true
    },
    bg_didnt_update_plugins({ reason }) {
      events.bg_didnt_update_plugins += 1
      increment(refreshes, reason)
    },
    on_error({ section }) {
      events.on_error += 1
      increment(sections, section)
    },
  }
  const stop = observeRuns?.(record)
  const listening = (Object.entries(listeners) as [EventName, () => void][]).filter(
    ([name]) => stop === undefined || (name !== 'rt_plugins_done' && name !== 'rt_plugins_error'),
  )
  for (const [name, listener] of listening) emitter.on(name, ownListener(listener))

  return Object.freeze({
    events,
    refreshes,
    sections,
    plugins: () => [...[...entries.values()].map(({ tally }) => tally), ...others.values()],
    find: (plugin) => entries.get(keyOf(plugin))?.tally,
    retain(live, now = Date.now()) {
      if (changed) markGone(live, now)
      changed = false
      const before = entries.size
      for (const [key, { gone_since }] of entries) {
        if (gone_since !== null && now - gone_since >= keep_ms) entries.delete(key)
      }
      // Those that are freed must not be found again, and others may have a tally of their own now.
      if (entries.size < before) known = new WeakMap()
    },
    close() {
      stop?.()
      for (const [name, listener] of listening) emitter.off(name, listener)
    },
  } satisfies Tallies)
}

type Listeners = { [N in EventName]?: (payload: Payload<N>) => void }
type Run = Payload<'rt_plugins_done' | 'rt_plugins_error'>

const isOther = ({ domain, name }: Named) => domain === OTHER && name === OTHER
const keyOf = ({ domain, name, phase }: Named) => JSON.stringify([domain, name, phase])

function increment(counts: Record<string, number>, key: string): void {
  counts[key] = (counts[key] ?? 0) + 1
}
