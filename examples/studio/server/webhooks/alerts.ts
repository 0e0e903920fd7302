import type { Kysely } from 'kysely'
import type { Report } from '../../shared/fleet.ts'
import { describeReason } from '../../shared/rollouts.ts'
import type { Tables } from '../store/tables.ts'
import type { HookEvent } from './event.ts'
import { queueEvent } from './queue.ts'

/** Something that a process reports, and that it did not report before. */
export interface Alert {
  /** The same for all processes that have the same trouble. */
  readonly key: string
  readonly event: Omit<HookEvent, 'at'>
}

/** What one report can raise; the page Fleet has the rest. */
const MOST_OF_REPORT = 20
/** For so long, the same trouble of further processes is no news; in milliseconds. */
const QUIET_MS = 15 * 60_000
/** Alerts that one token can raise in that time: who writes reports is not to fill a chat. */
const MOST_OF_REPORTER = 30

/** What is wrong in a report, and was not in the one before. */
export function findAlerts(before: Partial<Report> | undefined, report: Report): readonly Alert[] {
  const known = new Set(describe(before).map(({ key }) => key))
  return describe(report)
    .filter(({ key }) => !known.has(key))
    .slice(0, MOST_OF_REPORT)
}

function describe(report: Partial<Report> | undefined): readonly Alert[] {
  if (report === undefined || report.closing) return []
  const { host = '', pid = 0, attempted, active, plugins, rollouts, stale } = report
  const common = { host, pid }
  const alerts: Alert[] = []
  const add = (key: readonly unknown[], event: Omit<HookEvent, 'at'>) => {
    alerts.push({ key: JSON.stringify(key), event: { ...common, ...event } })
  }
  if (attempted?.verdict === 'nack') {
    const { version, error } = attempted
    add(['refused', version], { type: 'refused', version, ...messageOf(error?.message) })
  }
  for (const { domain, name, phase, message } of attempted?.refused ?? []) {
    const version = (attempted as NonNullable<typeof attempted>).version
    const place = { ...(domain === null ? {} : { domain }), ...(name === null ? {} : { plugin: name }) }
    const at = phase === null ? {} : { phase }
    add(['refused', version, domain, name, phase], { type: 'refused', version, ...place, ...at, ...messageOf(message) })
  }
  for (const { domain, name, phase, breaker, error } of plugins?.notable ?? []) {
    if (breaker !== 'open') continue
    const at = phase === null ? {} : { phase }
    add(['breaker', domain, name, phase], { type: 'breaker_open', domain, plugin: name, ...at, ...messageOf(error) })
  }
  for (const { domain, name, phase, sha1, stopped, inside, control } of rollouts?.guarded ?? []) {
    if (stopped === null) continue
    const at = phase === null ? {} : { phase }
    const counts = inside && control && { inside, control }
    const reason = describeReason({ ...stopped, counts })
    const event = { type: 'rollout_stopped', domain, plugin: name, ...at, ...messageOf(reason) } as const
    add(['rollout', domain, name, phase, sha1], event)
  }
  if (stale === true) {
    const version = active?.version ?? 'unknown'
    add(['stale', version], { type: 'stale', version })
  }
  return alerts
}

function messageOf(message: string | null | undefined): { readonly error?: string } {
  return message == null ? {} : { error: message.slice(0, 500) }
}

/** Tells webhooks what is new in a report; of the same trouble of many processes, once. */
export async function raiseAlerts(
  db: Kysely<Tables>,
  reported_by: string,
  before: Partial<Report> | undefined,
  report: Report,
  now = new Date(),
): Promise<void> {
  const alerts = findAlerts(before, report)
  if (alerts.length === 0) return
  const since = new Date(now.getTime() - QUIET_MS)
  await db.deleteFrom('alert').where('raised_at', '<', since).execute()
  const { raised } = await db
    .selectFrom('alert')
    .select(({ fn, cast }) => cast<number>(fn.countAll(), 'integer').as('raised'))
    .where('reported_by', '=', reported_by)
    .executeTakeFirstOrThrow()
  for (const { key, event } of alerts.slice(0, Math.max(0, MOST_OF_REPORTER - raised))) {
    const inserted = await db
      .insertInto('alert')
      .values({ key, reported_by, raised_at: now })
      .onConflict((conflict) => conflict.doNothing())
      .returning('key')
      .executeTakeFirst()
    if (inserted !== undefined) await queueEvent(db, { ...event, at: now.toISOString() })
  }
}
