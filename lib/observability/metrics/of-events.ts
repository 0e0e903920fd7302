import type { NoUpdate } from '../../events/table.ts'
import { byKey, type Definition } from './definition.ts'

/** Of the reasons, no event has `closed`. */
const NO_RESULTS = { updated: 0, unchanged: 0, fetch: 0, invalid: 0, held: 0, untrusted: 0 } satisfies Record<
  'updated' | Exclude<NoUpdate['reason'], 'closed'>,
  0
>
const counter = { type: 'counter', aggregator: 'sum' } as const

/** What happened. */
export const EVENT_METRICS: readonly Definition[] = Object.freeze([
  {
    ...counter,
    name: 'events_total',
    help: 'Events emitted, by name; all but rt_plugins_starting.',
    labels: ['event'],
    read: ({ tallies, labels }) => byKey(labels, 'event', tallies.events),
  },
  {
    ...counter,
    name: 'refreshes_total',
    help: 'Refreshes by result: updated, or the reason why nothing changed.',
    labels: ['result'],
    read: ({ tallies, labels }) => byKey(labels, 'result', { ...NO_RESULTS, ...tallies.refreshes }),
  },
  {
    ...counter,
    name: 'errors_total',
    help: 'Errors outside the plugins (on_error), by section.',
    labels: ['section'],
    read: ({ tallies, labels }) => byKey(labels, 'section', tallies.sections),
  },
] satisfies Definition[])
