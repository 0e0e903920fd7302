import type { Phase } from '../document.ts'
import type { Outcome } from '../events/run-observers.ts'
import { createDurations, type Durations } from './durations.ts'

/** What one plugin has done since it was first seen: all of its versions together. Numbers only grow. */
export interface Tally {
  readonly domain: string
  readonly name: string
  readonly phase: Phase
  /** Its runs by outcome; shadow runs are not among them. */
  readonly runs: Readonly<Record<Outcome, Durations>>
  /** How long it kept the event loop until it returned or first awaited, all runs together. */
  sync_seconds: number
  /** Its shadow runs, and how many of them would have ended the request, changed something, or failed. */
  readonly shadow: { runs: number; exits: number; changes: number; errors: number }
}

/** Makes the tally of a plugin that has done nothing yet. */
export function createTally({ domain, name, phase }: Pick<Tally, 'domain' | 'name' | 'phase'>): Tally {
  const runs = { done: createDurations(), exit: createDurations(), open: createDurations(), closed: createDurations() }
  const shadow = { runs: 0, exits: 0, changes: 0, errors: 0 }
  return { domain, name, phase, runs: Object.freeze(runs), sync_seconds: 0, shadow }
}

/** Counts a shadow run, by the words of its effects; it may have several of them. */
export function countShadow(shadow: Tally['shadow'], effects: readonly string[]): void {
  let [exits, changes, errors] = [0, 0, 0]
  for (const effect of effects) {
    if (effect.startsWith('exit ')) exits = 1
    else if (effect.startsWith('threw ')) errors = 1
    else changes = 1
  }
  shadow.runs += 1
  shadow.exits += exits
  shadow.changes += changes
  shadow.errors += errors
}
