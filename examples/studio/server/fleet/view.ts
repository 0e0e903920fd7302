import type { Kysely } from 'kysely'
import {
  compareProcesses,
  type FleetChange,
  type Headline,
  isFound,
  isGone,
  type Notable,
  type Process,
} from '../../shared/fleet.ts'
import { repeat } from '../publishing/renewal.ts'
import { findNewest } from '../publishing/versions.ts'
import type { Database } from '../store/database.ts'
import type { Tables } from '../store/tables.ts'
import { judge, type Known } from './summary.ts'

/** The fleet as the database has it, judged and in memory: every studio that shares the database sees the same. */
export interface FleetView {
  headline(): Headline
  /** Processes in order: trouble first. */
  list(wanted: { readonly is_gone: boolean; readonly search: string | undefined }): readonly Process[]
  /** What is not simply live in processes that report, and in how many of how many. */
  notable(): { readonly live: number; readonly plugins: ReadonlyMap<string, readonly Notable[]> }
  /** How many processes that report run which version. */
  versions(): ReadonlyMap<string, number>
  /** Looks for what is new at once. */
  refresh(): Promise<void>
  /** Told of differences, at most once a second. Returns what ends it. */
  watch(told: (change: FleetChange) => void): () => void
  close(): void
}

/** How often what was announced is looked at, and time is let pass, in milliseconds; a moment more or less. */
const LOOK_EVERY_MS = 1000
/** Differences that are told at once: with 150 bytes each, no page gets more than 15 KB a second. */
const MOST_TOLD = 100
/** Beyond so many, all are read anew. */
const MOST_AT_ONCE = 200

export const pluginKey = ({ domain, name, phase }: { domain: string; name: string; phase: string | null }) =>
  JSON.stringify([domain, name, phase])

/** Begins to follow the fleet. */
export async function followFleet({ db, listen }: Database, failed: (error: unknown) => void): Promise<FleetView> {
  const known = new Map<string, Known>()
  let processes = new Map<string, Process>()
  const watchers = new Set<(change: FleetChange) => void>()
  /** What watchers were told of each process, as text. */
  const told = new Map<string, string>()
  let told_headline = ''
  let newest = 0
  let is_stale = true
  let changed = new Set<string>()

  const ends = [
    listen('studio_version', () => {
      is_stale = true
    }),
    listen('studio_report', (id) => {
      if (id === '') is_stale = true
      else changed.add(id)
    }),
  ]

  async function read(): Promise<void> {
    const [ids, all] = [[...changed], is_stale || changed.size > MOST_AT_ONCE]
    changed = new Set()
    is_stale = false
    try {
      if (all) newest = await findNewest(db)
      if (!all && ids.length === 0) return
      const rows = await readKnown(db, all ? undefined : ids)
      for (const id of all ? known.keys() : ids) known.delete(id)
      for (const row of rows) if (row.summary !== null) known.set(row.id, row as Known)
    } catch (error) {
      is_stale ||= all
      for (const id of ids) changed.add(id)
      throw error
    }
  }

  async function look(): Promise<void> {
    await read()
    const now = Date.now()
    processes = new Map([...known].map(([id, each]) => [id, judge(each, newest, now)]))
    if (watchers.size > 0) tell()
  }

  /** What does not fit is told the next time. */
  function tell(): void {
    const different: Process[] = []
    for (const [id, process] of processes) {
      const text = JSON.stringify(process)
      if (told.get(id) === text) continue
      if (different.length >= MOST_TOLD) break
      told.set(id, text)
      different.push(process)
    }
    const gone = [...told.keys()].filter((id) => !processes.has(id)).slice(0, MOST_TOLD * 2)
    for (const id of gone) told.delete(id)
    const headline = sumUp(processes.values(), newest)
    const text = JSON.stringify(headline)
    if (different.length === 0 && gone.length === 0 && text === told_headline) return
    told_headline = text
    for (const watcher of watchers) watcher({ headline, changed: different, gone })
  }

  /** A page that begins to watch has loaded what is there now. */
  function forgetTold(): void {
    told.clear()
    for (const [id, process] of processes) told.set(id, JSON.stringify(process))
    told_headline = JSON.stringify(sumUp(processes.values(), newest))
  }

  await look()
  const endLooking = repeat(look, failed, LOOK_EVERY_MS)
  return Object.freeze({
    headline: () => sumUp(processes.values(), newest),
    list({ is_gone, search }) {
      return [...processes.values()]
        .filter((process) => isGone(process) === is_gone && isFound(process, search))
        .sort(compareProcesses)
    },
    notable() {
      const plugins = new Map<string, Notable[]>()
      let live = 0
      for (const [id, process] of processes) {
        if (isGone(process)) continue
        live += 1
        for (const each of known.get(id)?.summary.notable ?? []) {
          const of_plugin = plugins.get(pluginKey(each))
          if (of_plugin === undefined) plugins.set(pluginKey(each), [each])
          else of_plugin.push(each)
        }
      }
      return { live, plugins }
    },
    versions() {
      const versions = new Map<string, number>()
      for (const process of processes.values()) {
        if (isGone(process)) continue
        const version = String(process.version ?? 'none')
        versions.set(version, (versions.get(version) ?? 0) + 1)
      }
      return versions
    },
    refresh: look,
    watch(watcher) {
      if (watchers.size === 0) forgetTold()
      watchers.add(watcher)
      return () => void watchers.delete(watcher)
    },
    close() {
      endLooking()
      for (const end of ends) end()
    },
  } satisfies FleetView)
}

function readKnown(db: Kysely<Tables>, ids: readonly string[] | undefined) {
  return db
    .selectFrom('instance')
    .select(['id', 'host', 'pid', 'received_at', 'closed', 'summary'])
    .$if(ids !== undefined, (query) => query.where('id', 'in', ids as string[]))
    .execute()
}

function sumUp(processes: Iterable<Process>, version: number): Headline {
  const headline = { version, live: 0, on_version: 0, bad: 0, warn: 0, silent: 0, closed: 0 }
  for (const process of processes) {
    if (process.condition !== 'good') headline[process.condition] += 1
    if (isGone(process)) continue
    headline.live += 1
    if (process.version === version) headline.on_version += 1
  }
  return headline
}
