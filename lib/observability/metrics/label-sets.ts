import type { Outcome } from '../../events/run-observers.ts'
import type { Durations } from '../durations.ts'
import type { Tally } from '../tally.ts'

/** Labels of a series. */
export type Labels = Readonly<Record<string, string>>

/** The labels of what plugins did. */
export interface LabelSets {
  of(tally: Tally): Labels
  ofRuns(tally: Tally, outcome: Outcome): Labels
}

/**
 * Makes each set of labels once: prom-client keeps the text of one as long as it is given the same object.
 *
 * @param labels that every series of the instance has
 */
export function createLabelSets(labels: Labels): LabelSets {
  const sets = new WeakMap<Tally | Durations, Labels>()

  function remember(key: Tally | Durations, make: () => Labels): Labels {
    const known = sets.get(key)
    if (known !== undefined) return known
    const made = Object.freeze(make())
    sets.set(key, made)
    return made
  }

  const of = (tally: Tally) =>
    remember(tally, () => ({ ...labels, domain: tally.domain, plugin: tally.name, phase: tally.phase }))
  return Object.freeze({
    of,
    ofRuns: (tally, outcome) => remember(tally.runs[outcome], () => ({ ...of(tally), outcome })),
  } satisfies LabelSets)
}
