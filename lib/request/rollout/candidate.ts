import type { Events } from '../../events/emitter.ts'
import type { GroupCounts } from '../../events/table.ts'
import type { RolloutStop } from '../../program.ts'

/** How a canary goes. Frozen. */
export interface CandidateStatus {
  /** The share of the candidate now, from 0 to 100: 0 once it is stopped, or while it has no live document. */
  readonly percent: number
  /** Why it was stopped; null if it was not. */
  readonly stopped: RolloutStop | null
  /** Counts of the requests with the candidate; null without `stop_when`. */
  readonly candidate: GroupCounts | null
  /** Counts of the requests with the live document; null without `stop_when`. */
  readonly live: GroupCounts | null
}

/** What an instance is to the canary whose candidate document it has. */
export interface Candidate {
  /** Whether its plugins run for requests: a document is live, and nothing is switched off. */
  serves(): boolean
  /** What becomes of the canary is for those who listen to this instance. */
  readonly emit: Events['emit']
  /** From now on the instance shows how this canary goes, and ends it when it is closed itself. */
  attend(canary: AttendedCanary): void
  /** How the canary goes; null while this is the candidate of none. */
  status(): CandidateStatus | null
  close(): void
}

/** What the instance wants of its canary. */
interface AttendedCanary {
  status(): CandidateStatus
  end(): void
}

/** Under this an instance carries its `Candidate`. */
export const CANDIDATE: unique symbol = Symbol('candidate')

/** Makes what a canary needs of an instance. */
export function createCandidate(events: Pick<Events, 'emit'>, serves: () => boolean): Candidate {
  const attended = new Set<AttendedCanary>()
  let last: AttendedCanary | null = null
  return Object.freeze({
    serves,
    emit: events.emit,
    attend(canary) {
      attended.add(canary)
      last = canary
    },
    status: () => last?.status() ?? null,
    close() {
      for (const canary of attended) canary.end()
    },
  } satisfies Candidate)
}
