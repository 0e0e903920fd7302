import type { Rollout, RolloutChart } from '../../shared/rollouts.ts'
import type { Actor } from '../auth/actor.ts'
import type { Taken } from '../fleet/reports.ts'
import type { RINGS } from '../fleet/ring-tables.ts'
import type { FleetView } from '../fleet/view.ts'
import { Problem } from '../problem.ts'
import { findOrigins } from '../publishing/live-states.ts'
import type { Press } from '../publishing/press.ts'
import { STUDIO } from '../publishing/publish.ts'
import { repeat } from '../publishing/renewal.ts'
import type { Version } from '../publishing/versions.ts'
import { askForAll } from '../review/asking.ts'
import { Overtaken, pauseRollout, stopRollout, takeStep } from './change-share.ts'
import { createLiveRollouts } from './live-rollout.ts'
import { createOrigins } from './origins.ts'
import { decide, stepOf } from './plan.ts'
import { findRollout, listRollouts, readRolloutChart } from './read.ts'
import { forgetRollouts, type RolloutRow } from './rows.ts'
import { findStanding, minRunsOf } from './standing.ts'
import { type StoppedVariant, stopVariantEverywhere } from './stop-variant.ts'
import { takeRollouts } from './take-report.ts'

/** The guarded rollouts of the fleet: added up, stopped everywhere, and taken step by step. */
export interface Rollouts {
  take(taken: Taken): Promise<void>
  list(): Promise<readonly Rollout[]>
  /** Those of one plugin, the newest first. */
  of(plugin: { domain: string; name: string; phase: string }): Promise<readonly Rollout[]>
  chart(id: number, range: keyof typeof RINGS): Promise<RolloutChart>
  stop(actor: Actor, id: number): Promise<Version>
  /** To its next step; from the start, where it was stopped; to everybody, where it has no steps. */
  go(actor: Actor, id: number): Promise<Version>
  pause(actor: Actor, id: number, on: boolean): Promise<void>
  /** Does what is due: stops, and begins next steps. It is done every second anyhow. */
  work(): Promise<void>
  close(): void
}

/** How often rollouts are looked at, in milliseconds; a moment more or less. */
const LOOK_EVERY_MS = 1000
/** What could not be published is tried again after this time, in milliseconds: a stop at once. */
const AGAIN_AFTER_MS = 10_000
const FORGET_EVERY_MS = 10 * 60_000

/**
 * Begins to look after the rollouts.
 *
 * @param view of the fleet
 * @param published told of every version that was published
 */
export function createRollouts(
  press: Press,
  view: () => Pick<FleetView, 'list' | 'notable' | 'refresh'>,
  published: () => Promise<void>,
  failed: (error: unknown) => void,
): Rollouts {
  const { db } = press
  const sources = { db, findOrigin: createOrigins(db), findLive: createLiveRollouts(press) }
  const later = new Map<number, number>()
  let told = ''
  let working: Promise<void> | undefined
  let again = false
  let closed = false

  async function workOnce(): Promise<void> {
    const rows = await db.selectFrom('rollout').selectAll().where('state', '=', 'running').orderBy('id').execute()
    if (rows.length === 0) return
    const origins = await findOrigins(db, rows)
    for (const [at, row] of rows.entries()) {
      if (closed) return
      try {
        if (origins[at]?.version !== row.version) await end(row)
        else if (row.stop !== null) await stopBySelf(row)
        else await goOnBySelf(row)
      } catch (error) {
        // Whoever was first has done it, or wants something else.
        if (!(error instanceof Overtaken)) await tellFailure(row, error as Error)
      }
    }
  }

  /** Somebody has changed the plugin: what they want is what counts. */
  async function end({ id, version }: RolloutRow): Promise<void> {
    await db
      .updateTable('rollout')
      .set({ state: 'replaced', ended_at: new Date(), hold: null })
      .where('id', '=', id)
      .where('version', '=', version)
      .where('state', '=', 'running')
      .execute()
  }

  async function stopBySelf(row: RolloutRow): Promise<void> {
    if (row.stop === null) return
    await stopRollout(press, STUDIO, row, row.stop)
    await published()
  }

  /** What cannot be published now is reported once more. */
  async function stopVariants(variants: readonly StoppedVariant[]): Promise<void> {
    for (const variant of variants) {
      try {
        await stopVariantEverywhere(press, variant)
        await published()
      } catch (error) {
        if (!(error instanceof Overtaken)) throw error
      }
    }
  }

  async function goOnBySelf(row: RolloutRow): Promise<void> {
    const look = () => findStanding(view(), row, Date.now())
    const planned = { ...row, min_runs: minRunsOf(row) }
    let standing = look()
    let decision = decide(planned, standing, Date.now())
    if (decision.kind === 'advance') {
      if ((later.get(row.id) ?? 0) > Date.now()) return
      // What is known of the fleet may be a second old.
      await view().refresh()
      standing = look()
      decision = decide(planned, standing, Date.now())
    }
    if (decision.kind === 'advance') {
      const { reporting, expected } = standing
      await takeStep(press, STUDIO, row, decision.percent, `${reporting} of ${expected} processes report no problem`)
      await published()
      return
    }
    await noteHold(row, decision.kind === 'hold' ? decision.why : null)
  }

  async function noteHold(row: RolloutRow, hold: string | null): Promise<void> {
    if (hold === row.hold) return
    await db.updateTable('rollout').set({ hold }).where('id', '=', row.id).where('state', '=', 'running').execute()
  }

  async function tellFailure(row: RolloutRow, error: Error): Promise<void> {
    later.set(row.id, Date.now() + AGAIN_AFTER_MS)
    await noteHold(row, `cannot be published: ${error.message}`.slice(0, 500))
    // The same every second is no news.
    const text = `${row.id} ${error.message}`
    if (text !== told && !closed) failed(error)
    told = text
  }

  /** One at a time; what is asked for meanwhile is done after it. */
  function work(): Promise<void> {
    if (working !== undefined) {
      again = true
      return working
    }
    working = (async () => {
      do {
        again = false
        await workOnce()
      } while (again && !closed)
    })().finally(() => {
      working = undefined
    })
    return working
  }

  async function take(id: number): Promise<RolloutRow> {
    const row = await findRollout(db, id)
    if (row.state === 'replaced') throw new Problem(409, 'this rollout is over: the plugin was changed since')
    return row
  }

  const ends = [
    repeat(work, failed, LOOK_EVERY_MS),
    repeat(() => forgetRollouts(db, Date.now()), failed, FORGET_EVERY_MS),
  ]
  return Object.freeze({
    async take(taken) {
      const { is_stopped, variants } = await takeRollouts(sources, taken)
      // The process that reports does not wait for it, and may be gone.
      askForAll(() => {
        if (is_stopped) work().catch((error) => closed || failed(error))
        if (variants.length > 0) stopVariants(variants).catch((error) => closed || failed(error))
      })
    },
    list: () => listRollouts(db),
    of: (plugin) => listRollouts(db, plugin),
    chart: (id, range) => readRolloutChart(db, id, range, Date.now()),
    async stop(actor, id) {
      const row = await take(id)
      if (row.state === 'stopped') throw new Problem(409, 'this rollout is already stopped')
      const by = { seen_by: 'person', by: actor.name, host: null, pid: null, condition: null } as const
      return stopRollout(press, actor, row, { ...by, limit: 0, above_control: false, counts: null })
    },
    async go(actor, id) {
      if (press.rules.two_persons)
        throw new Problem(403, 'a larger share needs a second person: propose it in a change set')
      const row = await take(id)
      const at = stepOf(row)
      const next = row.state === 'stopped' ? 0 : at === null ? 0 : at + 1
      const percent = row.steps === null ? 100 : row.steps[next]?.percent
      if (percent === undefined || percent === row.percent) throw new Problem(409, 'this rollout is at its last step')
      return takeStep(press, actor, row, percent, `by ${actor.name}`)
    },
    async pause(actor, id, on) {
      await pauseRollout(db, actor, await take(id), on)
    },
    work,
    close() {
      closed = true
      for (const end of ends) end()
    },
  } satisfies Rollouts)
}
