import type { Kysely } from 'kysely'
import type { Tables } from '../store/tables.ts'
import type { Delta } from './deltas.ts'
import { FLEET_KEY, MOST_PLUGINS, RINGS, type Row, type SeenError, writeErrors, writeRows } from './ring-tables.ts'

/** What a process did since its last report is spread over the time since, but no longer than this, in milliseconds. */
const LONGEST_SPREAD_MS = 15 * 60_000

/** Gathers what reports add to the rings, and writes it now and then: each report on its own would be hundreds of rows. */
export interface RingWriter {
  /** @param from, until in milliseconds since 1970, by this studio's clock */
  add(deltas: readonly Delta[], from: number, until: number): void
  noteError(error: SeenError): void
  /** Writes what was gathered; of several studios each adds its own. What cannot be written stays. */
  flush(): Promise<void>
}

export function createRingWriter(db: Kysely<Tables>): RingWriter {
  let pending = new Map<string, Row>()
  let per_slot = new Map<string, number>()
  let errors = new Map<string, SeenError>()

  function addTo(step: number, slot: number, delta: Delta, share: number): void {
    const { domain, name, phase } = delta
    const key = JSON.stringify([step, slot, domain, name, phase])
    const before = pending.get(key)
    if (before === undefined) {
      const of_slot = `${step} ${slot}`
      const count = per_slot.get(of_slot) ?? 0
      if (count > MOST_PLUGINS) return
      per_slot.set(of_slot, count + 1)
    }
    const sum = (field: 'calls' | 'errors' | 'errors_closed' | 'exits') => (before?.[field] ?? 0) + delta[field] * share
    pending.set(key, {
      step,
      slot,
      domain,
      name,
      phase,
      calls: sum('calls'),
      errors: sum('errors'),
      errors_closed: sum('errors_closed'),
      exits: sum('exits'),
      buckets: delta.buckets.map((count, at) => (before?.buckets[at] ?? 0) + count * share),
    })
  }

  function noteError(seen: SeenError): void {
    const key = JSON.stringify([seen.domain, seen.name, seen.phase])
    const before = errors.get(key)
    if (before === undefined ? errors.size < MOST_PLUGINS : before.at < seen.at) errors.set(key, seen)
  }

  return Object.freeze({
    add(deltas, from, until) {
      if (deltas.length === 0) return
      const whole = { ...FLEET_KEY, ...addUp(deltas) }
      const begin = Math.max(from, until - LONGEST_SPREAD_MS)
      for (const { step } of Object.values(RINGS)) {
        for (const { slot, share } of spread(step * 1000, begin, until, from)) {
          addTo(step, slot, whole, share)
          for (const delta of deltas) addTo(step, slot, delta, share)
        }
      }
    },
    noteError,
    async flush() {
      const [rows, seen] = [pending, errors]
      pending = new Map()
      per_slot = new Map()
      errors = new Map()
      try {
        if (rows.size > 0) await writeRows(db, [...rows.values()])
        rows.clear()
        if (seen.size > 0) await writeErrors(db, [...seen.values()])
      } catch (error) {
        // As long as they are of use; whoever has them next is this very minute.
        for (const row of rows.values()) if (pending.size < 10 * MOST_PLUGINS) addTo(row.step, row.slot, row, 1)
        for (const each of seen.values()) noteError(each)
        throw error
      }
    },
  } satisfies RingWriter)
}

/** Which slots a time reaches into, and with how much of it; `whole_from`: where all of it began. */
function spread(step_ms: number, from: number, until: number, whole_from: number): { slot: number; share: number }[] {
  const last = Math.floor(until / step_ms)
  const length = until - whole_from
  if (length <= 0) return [{ slot: last, share: 1 }]
  const shares: { slot: number; share: number }[] = []
  for (let slot = Math.floor(from / step_ms); slot <= last; slot += 1) {
    const part = Math.min(until, (slot + 1) * step_ms) - Math.max(from, slot * step_ms)
    if (part > 0) shares.push({ slot, share: part / length })
  }
  return shares
}

function addUp(deltas: readonly Delta[]): Omit<Delta, 'domain' | 'name' | 'phase'> {
  const sum = { calls: 0, errors: 0, errors_closed: 0, exits: 0, buckets: [] as number[] }
  for (const { calls, errors, errors_closed, exits, buckets } of deltas) {
    sum.calls += calls
    sum.errors += errors
    sum.errors_closed += errors_closed
    sum.exits += exits
    for (const [at, count] of buckets.entries()) sum.buckets[at] = (sum.buckets[at] ?? 0) + count
  }
  return sum
}
