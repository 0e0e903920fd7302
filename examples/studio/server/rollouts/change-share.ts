import type { Kysely } from 'kysely'
import { describeStop, type RolloutStop } from '../../shared/rollouts.ts'
import type { Actor } from '../auth/actor.ts'
import { Problem } from '../problem.ts'
import { findOrigins } from '../publishing/live-states.ts'
import type { Press } from '../publishing/press.ts'
import { type Publisher, publish } from '../publishing/publish.ts'
import type { Version } from '../publishing/versions.ts'
import type { DocumentParts } from '../review/document-parts.ts'
import { writeAudit } from '../store/audit.ts'
import type { Tables } from '../store/tables.ts'
import { stepOf } from './plan.ts'
import { beginRollout, type RolloutRow } from './rows.ts'

/** Somebody else has changed the plugin, or the rollout, meanwhile: theirs stands. */
export class Overtaken extends Problem {}

/** What is live with another share of a rollout, as long as nobody has changed the plugin since. @throws Overtaken */
async function prepare(press: Press, row: RolloutRow, percent: number, live: string): Promise<DocumentParts> {
  const [origin] = await findOrigins(press.db, [row])
  if (origin?.version !== row.version) throw new Overtaken(409, 'the plugin was changed since; look at it again')
  const { domain, name, phase, stop_when } = row
  const document = await press.reviewer.giveShare(live, { domain, name, phase, percent, stop_when })
  if (document === undefined) throw new Overtaken(409, 'the plugin has no rollout any more')
  return document
}

/** Changes a rollout that is still what it was. @throws Overtaken */
async function settle(transaction: Kysely<Tables>, { id, version, state }: RolloutRow, set: object): Promise<void> {
  const done = await transaction
    .updateTable('rollout')
    .set(set)
    .where('id', '=', id)
    .where('version', '=', version)
    .where('state', '=', state)
    .returning('id')
    .executeTakeFirst()
  if (done === undefined) throw new Overtaken(409, 'the rollout was changed just now; look at it again')
}

/**
 * Stops a rollout in the whole fleet: a version in which its share is 0. Once for each rollout, by whichever studio.
 *
 * @throws Overtaken when somebody has changed the plugin since
 */
export function stopRollout(press: Press, publisher: Publisher, row: RolloutRow, stop: RolloutStop): Promise<Version> {
  const { domain, name: plugin, phase } = row
  const reason = describeStop(stop)
  return publish(press, publisher, 'stop', async (live) => ({
    message: `${plugin}: rollout stopped: ${reason}`.slice(0, 500),
    document: await prepare(press, row, 0, live.document),
    details: { domain, plugin, phase, reason, ...(stop.seen_by === 'person' ? {} : { reported_by: stop.by }) },
    settle: (transaction) => {
      const now = new Date()
      const version = live.version + 1
      const over = {
        state: 'stopped',
        version,
        stopped_version: version,
        percent: 0,
        percent_since: now,
        ended_at: now,
      }
      return settle(transaction, row, { ...over, stop: JSON.stringify(stop), hold: null, paused_by: null })
    },
  }))
}

/**
 * Gives a rollout its next share, as another step of it; one that was stopped begins once more.
 *
 * @param why what the history says of it
 * @throws Overtaken when somebody has changed the plugin since
 */
export function takeStep(
  press: Press,
  publisher: Publisher,
  row: RolloutRow,
  percent: number,
  why: string,
): Promise<Version> {
  const { domain, name, phase, stop_when, steps } = row
  const at = stepOf({ steps, percent })
  const step = at === null ? '' : `, step ${at + 1} of ${steps?.length}`
  return publish(press, publisher, 'step', async (live) => ({
    message: `${name}: ${percent} %${step}: ${why}`.slice(0, 500),
    document: await prepare(press, row, percent, live.document),
    details: { domain, plugin: name, phase, percent },
    async settle(transaction) {
      const now = new Date()
      const version = live.version + 1
      if (row.state === 'running') {
        const set = { version, percent, percent_since: now, step_runs: 0, hold: null, paused_by: null }
        return settle(transaction, row, set)
      }
      await settle(transaction, row, { state: 'replaced' })
      await beginRollout(transaction, { domain, name, phase, version, percent, stop_when, steps }, now)
    },
  }))
}

/** Somebody pauses the steps of a rollout, or lets them go on. @throws Overtaken */
export async function pauseRollout(db: Kysely<Tables>, actor: Actor, row: RolloutRow, on: boolean): Promise<void> {
  await db.transaction().execute(async (transaction) => {
    await settle(transaction, row, { paused_by: on ? actor.name : null, hold: on ? `paused by ${actor.name}` : null })
    await writeAudit(transaction, actor, on ? 'pause rollout' : 'resume rollout', `${row.domain}/${row.name}`)
  })
}
