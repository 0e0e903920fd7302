import { hostname } from 'node:os'
import type { Activated } from '../../background/preparation.ts'
import type { Attempted } from '../../background/standing.ts'
import type { NoUpdate } from '../../events/table.ts'
import type { Candidate, CandidateStatus } from '../../request/rollout/candidate.ts'
import { VERSION } from '../../version.ts'
import { limitText } from '../plain-error.ts'
import type { Tallies } from '../tallies.ts'
import { describeCounters, type ReportedCounters } from './counters.ts'
import { describeActive, describeAttempt, type ReportedAttempt, type ReportedDocument } from './document.ts'
import { MAX_TEXT_LENGTH, type ReportedError } from './error.ts'
import type { LastErrors } from './last-errors.ts'
import { describePlugins, type ReportedPlugins } from './plugins.ts'
import { describeRollouts, type ReportedRollouts } from './rollouts.ts'
import type { ReportOccasion } from './schedule.ts'

/** What an instance sends to `report_uri`. Times are in milliseconds since 1970. docs/reporting.md is its reference. */
export interface Report {
  /** Changes if a field is removed or changes its meaning. */
  readonly format: 1
  /** Random id of the instance. */
  readonly instance: string
  /** Increases with each report of the instance, so that late reports can be recognized. */
  readonly sequence: number
  /** `report_name`. */
  readonly name: string | null
  readonly host: string
  readonly pid: number
  readonly dynacode: string
  readonly node: string
  /** When the instance was created. */
  readonly started_at: number
  readonly sent_at: number
  /** `report_interval`, in seconds. */
  readonly interval: number
  /** The reasons for this report. */
  readonly occasions: readonly ReportOccasion[]
  /** Whether it is the last one of the instance. */
  readonly closing: boolean
  /** Whether the plugins are switched off in this process. */
  readonly disabled: boolean
  readonly stale: boolean
  /** The live document; null before there is one. */
  readonly active: ReportedDocument | null
  /** The document that was processed last, and the result. */
  readonly attempted: ReportedAttempt | null
  readonly last_refresh: ReportedRefresh | null
  readonly plugins: ReportedPlugins
  readonly rollouts: ReportedRollouts
  /** How the canary goes whose candidate document this instance has; null if it has none. */
  readonly canary: CandidateStatus | null
  readonly counters: ReportedCounters
}

/** The result of the last refresh. */
export interface ReportedRefresh {
  readonly at: number
  readonly result: 'updated' | NoUpdate['reason']
  readonly error: ReportedError | null
}

/** What a report is made of. */
export interface ReportSubject {
  readonly instance: string
  readonly name: string | undefined
  readonly started_at: number
  readonly interval: number
  readonly tallies: Tallies
  readonly last_errors: LastErrors
  activated(): Activated | null
  attempted(): Attempted | null
  validated_at(): number | null
  isDisabled(): boolean
  isStale(): boolean
  readonly requests: { readonly candidate: Pick<Candidate, 'status'> }
}

/** Writes a report of how things are now. */
export type ReportWriter = (occasions: readonly ReportOccasion[], last_refresh: ReportedRefresh | null) => Report

/** Makes what writes the reports of one instance. */
export function createReportWriter(subject: ReportSubject): ReportWriter {
  const host = limitText(hostname(), MAX_TEXT_LENGTH)
  let sequence = 0

  return function write(occasions, last_refresh) {
    const now = Date.now()
    const { instance, name, started_at, interval, tallies, last_errors } = subject
    const activated = subject.activated()
    sequence += 1
    return {
      format: 1,
      instance,
      sequence,
      name: name ?? null,
      host,
      pid: process.pid,
      dynacode: VERSION,
      node: process.versions.node,
      started_at,
      sent_at: now,
      interval,
      occasions,
      closing: occasions.includes('close'),
      disabled: subject.isDisabled(),
      stale: subject.isStale(),
      active: activated && describeActive(activated, subject.validated_at()),
      attempted: describeAttempt(subject.attempted(), activated),
      last_refresh,
      plugins: describePlugins(activated, now),
      rollouts: describeRollouts(activated, now),
      canary: subject.requests.candidate.status(),
      counters: describeCounters(tallies, last_errors, activated, now),
    }
  }
}
