import { judge_rollout, type RolloutEvidence, type StopWhen } from 'dynacode/tools'
import type { Kysely } from 'kysely'
import type { PluginKey } from '../../shared/changes.ts'
import type { Report } from '../../shared/fleet.ts'
import type { RolloutStop } from '../../shared/rollouts.ts'
import type { Taken } from '../fleet/reports.ts'
import type { Tables } from '../store/tables.ts'
import { NO_COUNTS, type ReportedRollout, subtract, toCounts, toList } from './counted.ts'
import type { FindLiveRollout } from './live-rollout.ts'
import type { FindOrigin } from './origins.ts'
import { addToSlots, beginRollout, takeRollout } from './rows.ts'
import { findStoppedVariant, type StoppedVariant } from './stop-variant.ts'

type Guarded = ReportedRollout & PluginKey

/** Where is looked up what a report is about. */
export interface Sources {
  readonly db: Kysely<Tables>
  readonly findOrigin: FindOrigin
  readonly findLive: FindLiveRollout
}

/** The clocks of a studio and of its database, in milliseconds. */
const CLOCKS_DIFFER_MS = 2000

/**
 * Adds to the rollouts of the fleet what a process has counted since its last report, and notes which of them are to be stopped:
 * because the process has stopped it, or because the sums are over a limit.
 *
 * @returns whether one is to be stopped, and the variants that the process has stopped: these are not added up
 */
export async function takeRollouts(
  sources: Sources,
  { before, report, by }: Taken,
): Promise<{ readonly is_stopped: boolean; readonly variants: readonly StoppedVariant[] }> {
  const { findOrigin } = sources
  const version = versionOf(report)
  let is_stopped = false
  const variants: StoppedVariant[] = []
  if (version === undefined) return { is_stopped, variants }
  for (const row of findOwn(report)) {
    const origin = await findOrigin(row, version)
    if (origin === undefined) {
      const variant = await findStoppedVariant(findOrigin, row, version, { report, by })
      if (variant !== undefined) variants.push(variant)
      continue
    }
    const earlier = await findEarlier(findOrigin, before, report, row, origin)
    if (earlier === 'unknown') continue
    const added = subtract(toList(row), earlier)
    if (row.stopped === null && added.every((count) => count === 0) && earlier !== undefined) continue
    if (await add(sources, row, origin, added, before === undefined, { report, by })) is_stopped = true
  }
  return { is_stopped, variants }
}

/** Only of documents that this studio has numbered. */
function versionOf({ active }: Partial<Report>): number | undefined {
  return typeof active?.version === 'number' ? active.version : undefined
}

/** Of a version whose rollout has stopped, and that has gone back with its unit. */
const WENT_BACK = 'ERR_DYNACODE_UNIT'

/** What runs in place of a version that was refused says nothing of that; one that went back says why it did. */
function findOwn({ rollouts, attempted, active }: Report): readonly Guarded[] {
  const keyOf = ({ domain, name, phase }: { domain: string | null; name: string | null; phase: string | null }) =>
    JSON.stringify([domain, name, phase])
  const parts = (attempted?.version === active?.version ? attempted?.refused : undefined) ?? []
  const codes = new Map(parts.map((part) => [keyOf(part), part.code]))
  return (rollouts?.guarded ?? []).filter((row): row is Guarded => {
    const code = codes.get(keyOf(row))
    return row.phase !== null && (code === undefined || (code === WENT_BACK && row.stopped !== null))
  })
}

/** What the same version of a plugin had counted before; `unknown`: whether it was counted already cannot be told. */
async function findEarlier(
  findOrigin: FindOrigin,
  before: Partial<Report> | undefined,
  report: Report,
  row: Guarded,
  origin: number,
): Promise<readonly number[] | 'unknown' | undefined> {
  if (before === undefined || before.started_at !== report.started_at) return undefined
  const version = versionOf(before)
  if (version === undefined || (await findOrigin(row, version)) !== origin) return undefined
  const { domain, name, phase } = row
  const found = before.rollouts?.guarded.find(
    (each) => each.domain === domain && each.name === name && each.phase === phase,
  )
  if (found !== undefined) return toList(found)
  return (before.rollouts?.left_out ?? 0) > 0 ? 'unknown' : undefined
}

async function add(
  { db, findLive }: Sources,
  row: Guarded,
  origin: number,
  added: readonly number[],
  is_new: boolean,
  { report, by }: Pick<Taken, 'report' | 'by'>,
): Promise<boolean> {
  const now = new Date()
  const live = await findLive(row)
  return db.transaction().execute(async (transaction) => {
    let rollout = await takeRollout(transaction, row, origin)
    // An earlier version of it is over, and nobody has to know any more how it went.
    if (rollout === undefined && live?.version === origin) {
      const { domain, name, phase } = row
      await beginRollout(transaction, { domain, name, phase, ...live }, live.at)
      rollout = await takeRollout(transaction, row, origin)
    }
    if (rollout === undefined) return false
    // A process that has missed a version may still have the rollout before this one, stopped.
    if (timeOf(report, row.stopped?.at, now) + CLOCKS_DIFFER_MS < rollout.created_at.getTime()) return false
    // A process that is older than the rollout, and was forgotten meanwhile: what it counts may have been counted already.
    const is_old = is_new && timeOf(report, report.started_at, now) < rollout.created_at.getTime()
    const counts = is_old ? NO_COUNTS : added
    const is_running = rollout.state === 'running' && rollout.stop === null
    const stop_when = rollout.stop_when as StopWhen
    const judged = judge_rollout(stop_when, (rollout.evidence as RolloutEvidence | null) ?? undefined, toCounts(counts))
    const sums = rollout.counts.map((count, at) => count + (counts[at] ?? 0))
    const stop = is_running ? findStop(row, judged.exceeded, sums, report, by) : null
    await transaction
      .updateTable('rollout')
      .set({
        counts: sums,
        evidence: JSON.stringify(judged.evidence),
        ...(origin === rollout.version ? { step_runs: rollout.step_runs + toCounts(counts).inside.runs } : {}),
        ...(stop === null ? {} : { stop: JSON.stringify(stop) }),
      })
      .where('id', '=', rollout.id)
      .execute()
    await addToSlots(transaction, rollout.id, counts, now.getTime())
    return stop !== null
  })
}

/** By the studio's clock: that of a process may be wrong, but not in how long something was before its report. */
function timeOf({ sent_at }: Report, at: number | undefined, now: Date): number {
  return at === undefined || sent_at === undefined ? now.getTime() : now.getTime() - Math.max(0, sent_at - at)
}

function findStop(
  { stopped, inside, control }: Guarded,
  exceeded: ReturnType<typeof judge_rollout>['exceeded'],
  sums: readonly number[],
  { host, pid }: Report,
  by: string,
): RolloutStop | null {
  if (stopped !== null) {
    const counts = inside && control && { inside, control }
    const { condition, limit, above_control } = stopped
    return { seen_by: 'process', by, host, pid, condition, limit, above_control, counts }
  }
  if (exceeded === null) return null
  return { seen_by: 'sums', by, host: null, pid: null, ...exceeded, counts: toCounts(sums) }
}
