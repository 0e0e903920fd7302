import { setImmediate } from 'node:timers/promises'
import { type Kysely, sql } from 'kysely'
import { z } from 'zod'
import type { ShadowCounts, ShadowRuns } from '../../shared/fleet.ts'
import type { Tables } from '../store/tables.ts'

/** What an instance has counted of its plugins in shadow mode. */
export interface ShadowReport {
  readonly id: string
  readonly host: string
  readonly pid: number
  readonly received_at: Date
  /** As JSON. */
  readonly shadows: string
}

/** What instances have counted may be long: so many at a time, and others are answered in between. */
const AT_ONCE = 50

/** What every instance has counted that has any such plugin, by host and process, some at a time. */
export async function* readShadows(db: Kysely<Tables>): AsyncGenerator<readonly ShadowReport[]> {
  let after: Pick<ShadowReport, 'host' | 'pid' | 'id'> = { host: '', pid: -1, id: '' }
  for (;;) {
    const { host, pid, id } = after
    const instances = await db
      .selectFrom('instance')
      .select(['id', 'host', 'pid', 'received_at', sql<string>`shadows::text`.as('shadows')])
      .where(sql`shadows::text`, '<>', '[]')
      .where(({ eb, refTuple, tuple }) => eb(refTuple('host', 'pid', 'id'), '>', tuple(host, pid, id)))
      .orderBy('host')
      .orderBy('pid')
      .orderBy('id')
      .limit(AT_ONCE)
      .execute()
    yield instances
    const last = instances.at(-1)
    if (last === undefined || instances.length < AT_ONCE) return
    after = last
    await setImmediate()
  }
}

/** As REPORT has it; what an earlier studio took in may be more. */
const COUNT = z.int().min(0).max(1_000_000_000_000)
/** Instances of versions that count no more than the runs tell no more than these. */
const COUNTED = z.object({
  domain: z.string(),
  name: z.string(),
  phase: z.string(),
  shadow_runs: COUNT.min(1),
  shadow_exits: COUNT.default(0),
  shadow_changes: COUNT.default(0),
  shadow_errors: COUNT.default(0),
})
const SHADOWS = z.array(z.unknown())

/** More than any fleet has: of further ones nothing is said. */
const MOST_PLUGINS = 10_000
/** The plugins that ran most are listed, and as many instances of each. */
const MOST_TOLD = 200

/**
 * Adds up what instances have reported of shadow runs. What cannot be read of a report counts as not there.
 *
 * @param parts some instances at a time
 */
export async function countShadowRuns(
  parts: AsyncIterable<readonly ShadowReport[]> | Iterable<readonly ShadowReport[]>,
  wanted: { readonly domain?: string | undefined; readonly plugin?: string | undefined },
): Promise<readonly ShadowRuns[]> {
  const found = new Map<string, ShadowRuns>()
  for await (const part of parts) for (const instance of part) addRuns(found, instance, wanted)
  return [...found.values()]
    .sort(byRuns)
    .slice(0, MOST_TOLD)
    .map(({ instances, ...rest }) => ({ ...rest, instances: instances.slice(0, MOST_TOLD) }))
}

function addRuns(
  found: Map<string, ShadowRuns>,
  { id, host, pid, received_at, shadows }: ShadowReport,
  wanted: { readonly domain?: string | undefined; readonly plugin?: string | undefined },
): void {
  for (const each of SHADOWS.safeParse(JSON.parse(shadows)).data ?? []) {
    const counted = COUNTED.safeParse(each).data
    if (counted === undefined) continue
    const { domain, name: plugin, phase } = counted
    if ((wanted.domain ?? domain) !== domain || (wanted.plugin ?? plugin) !== plugin) continue
    const counts = toCounts(counted)
    const key = JSON.stringify([domain, plugin, phase])
    const own = { id, host, pid, received_at: received_at.toISOString(), ...counts }
    const before = found.get(key)
    if (before !== undefined) {
      Object.assign(before, add(before, counts))
      before.instances.push(own)
    } else if (found.size < MOST_PLUGINS) found.set(key, { domain, plugin, phase, ...counts, instances: [own] })
  }
}

const byRuns = (a: { readonly runs: number }, b: { readonly runs: number }) => b.runs - a.runs

function toCounts({
  shadow_runs,
  shadow_exits,
  shadow_changes,
  shadow_errors,
}: z.output<typeof COUNTED>): ShadowCounts {
  return { runs: shadow_runs, exits: shadow_exits, changes: shadow_changes, errors: shadow_errors }
}

function add(a: ShadowCounts, b: ShadowCounts): ShadowCounts {
  return {
    runs: a.runs + b.runs,
    exits: a.exits + b.exits,
    changes: a.changes + b.changes,
    errors: a.errors + b.errors,
  }
}
