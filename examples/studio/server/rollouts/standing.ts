import { isTrouble } from '../fleet/summary.ts'
import { type FleetView, pluginKey } from '../fleet/view.ts'
import type { Standing } from './plan.ts'
import type { RolloutRow } from './rows.ts'

/** A process that is silent for longer is not waited for: it was ended without a word. In milliseconds. */
const WAITED_FOR_MS = 10 * 60_000
/** As dynacode has it. */
const DEFAULT_MIN_RUNS = 20

/** What the processes say of a rollout. */
export function findStanding(
  view: Pick<FleetView, 'list' | 'notable'>,
  row: Pick<RolloutRow, 'domain' | 'name' | 'phase' | 'version'>,
  now: number,
): Standing {
  const live = view.list({ is_gone: false, search: undefined })
  const silent = view
    .list({ is_gone: true, search: undefined })
    .filter(({ condition, since }) => condition === 'silent' && now - Date.parse(since ?? '') < WAITED_FOR_MS)
  // Later versions have it as well: otherwise this would not be the one that made it what it is.
  const reporting = live.filter(({ version }) => typeof version === 'number' && version >= row.version).length
  return { expected: live.length + silent.length, reporting, trouble: findTrouble(view, row) }
}

function findTrouble(view: Pick<FleetView, 'notable'>, row: Parameters<typeof pluginKey>[0]): string | undefined {
  const bad =
    view
      .notable()
      .plugins.get(pluginKey(row))
      ?.filter((each) => isTrouble(each)) ?? []
  const [first] = bad
  if (first === undefined) return undefined
  const what = first.breaker === 'closed' ? `it is ${first.state.replace('_', ' ')}` : 'its breaker is open'
  return `${what} in ${bad.length === 1 ? '1 process' : `${bad.length} processes`}`
}

/** How often the plugin has to run before anything is said of it. */
export function minRunsOf({ stop_when }: Pick<RolloutRow, 'stop_when'>): number {
  return typeof stop_when.min_runs === 'number' ? stop_when.min_runs : DEFAULT_MIN_RUNS
}
