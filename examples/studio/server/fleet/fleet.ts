import type { Chart, CountedActivity, Report, ShadowRuns } from '../../shared/fleet.ts'
import type { Actor } from '../auth/actor.ts'
import { repeat } from '../publishing/renewal.ts'
import type { Database } from '../store/database.ts'
import { listActivity, RATE_MINUTES } from './activity.ts'
import { readChart, sampleVersions } from './chart.ts'
import { dismiss, forget, readReport, type Taken, takeReport } from './reports.ts'
import { type RINGS, turnRings } from './ring-tables.ts'
import { createRingWriter } from './ring-writer.ts'
import { countShadowRuns, readShadows } from './shadow-runs.ts'
import { type FleetView, followFleet } from './view.ts'

/** What is known of the processes that report. */
export interface Fleet {
  readonly view: FleetView
  take(actor: Actor, report: Report): Promise<void>
  readReport(id: string): Promise<object>
  dismiss(actor: Actor, ids: readonly string[]): Promise<void>
  /** What every plugin does at this time. */
  activity(): Promise<{ readonly minutes: number; readonly plugins: readonly CountedActivity[] }>
  chart(range: keyof typeof RINGS, plugin: { domain: string; name: string; phase: string } | undefined): Promise<Chart>
  shadowRuns(wanted: { domain?: string | undefined; plugin?: string | undefined }): Promise<readonly ShadowRuns[]>
  /** Writes down what was gathered: at the latest after a few seconds, it is done anyhow. */
  flush(): Promise<void>
  /** Forgets what is old, and counts how many processes run which version: it is done twice a minute anyhow. */
  tidy(): Promise<void>
  close(): Promise<void>
}

/** How often what was gathered is written, in milliseconds. A studio that is killed loses no more than this of the charts. */
const FLUSH_EVERY_MS = 5000
/** How often versions are counted and what is old is forgotten, in milliseconds. */
const TIDY_EVERY_MS = 30_000
/** For so long the same answer is given to everybody, in milliseconds. */
const SAME_FOR_MS = 1000

/** Begins to know the fleet. @param taken told of every report that was taken */
export async function createFleet(
  database: Database,
  failed: (error: unknown) => void,
  taken: (taken: Taken) => Promise<void> = async () => undefined,
): Promise<Fleet> {
  const { db } = database
  const rings = createRingWriter(db)
  const view = await followFleet(database, failed)
  async function tidy(): Promise<void> {
    await forget(db)
    await turnRings(db, Date.now())
    await sampleVersions(db, view, Date.now())
  }
  const ends = [repeat(rings.flush, failed, FLUSH_EVERY_MS), repeat(tidy, failed, TIDY_EVERY_MS)]
  let listed: { readonly at: number; readonly plugins: Promise<readonly CountedActivity[]> } | undefined

  return Object.freeze({
    view,
    async take(actor, report) {
      const found = await takeReport(db, rings, actor, report)
      if (found !== undefined) await taken(found).catch(failed)
    },
    readReport: (id) => readReport(db, id),
    async dismiss(actor, ids) {
      await dismiss(db, actor, ids)
      await view.refresh()
    },
    async activity() {
      const now = Date.now()
      if (listed === undefined || now - listed.at > SAME_FOR_MS) {
        const plugins = listActivity(db, view, now)
        listed = { at: now, plugins }
        plugins.catch(() => {
          if (listed?.plugins === plugins) listed = undefined
        })
      }
      return { minutes: RATE_MINUTES, plugins: await listed.plugins }
    },
    chart: (range, plugin) => readChart(db, range, plugin, Date.now()),
    shadowRuns: (wanted) => countShadowRuns(readShadows(db), wanted),
    flush: rings.flush,
    tidy,
    async close() {
      for (const end of ends) end()
      view.close()
      await rings.flush().catch(failed)
    },
  } satisfies Fleet)
}
