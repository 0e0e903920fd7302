import type { Activator } from '../../background/activator.ts'
import { type Events, ownListener } from '../../events/emitter.ts'
import type { RunObservers } from '../../events/run-observers.ts'
import type { EventName, NoUpdate, Payload } from '../../events/table.ts'
import type { Candidate } from '../../request/rollout/candidate.ts'
import { createTallies } from '../tallies.ts'
import { reportError } from './error.ts'
import { createLastErrors } from './last-errors.ts'
import type { ReportSettings } from './options.ts'
import { type Reporter, startReporter } from './schedule.ts'
import { createReportSender } from './sender.ts'
import { createReportWriter, type ReportedRefresh } from './writer.ts'

/** How many plugins are counted each by themselves: more than a report has room for, since it tells the busiest. */
const MAX_TALLIES = 1000

/** Reports to `report_uri`, where there is one: how things are, whenever that changes, and once in each interval. */
export function startReporting(
  { report_uri, report_headers, report_dispatcher, report_name, report_interval, report_timeout }: ReportSettings,
  {
    instance,
    events,
    activator,
    observeRuns,
    ...subject
  }: {
    instance: string
    events: Events
    activator: Pick<Activator, 'activated' | 'attempted'>
    observeRuns: RunObservers['add']
    validated_at: () => number | null
    isDisabled: () => boolean
    isStale: () => boolean
    requests: { readonly candidate: Pick<Candidate, 'status'> }
  },
): Reporter | undefined {
  if (report_uri === undefined) return undefined
  const { emitter } = events
  const tallies = createTallies(emitter, { max: MAX_TALLIES, observeRuns })
  const write = createReportWriter({
    ...subject,
    instance,
    name: report_name,
    started_at: Date.now(),
    interval: report_interval,
    tallies,
    last_errors: createLastErrors(emitter, MAX_TALLIES),
    activated: activator.activated,
    attempted: activator.attempted,
  })
  let last_refresh: ReportedRefresh | null = null
  /** What came of the last refresh, in short: the same trouble at every poll is told once. */
  let outcome = 'unchanged'

  const reporter = startReporter({
    sender: createReportSender({ report_uri, report_headers, report_dispatcher }),
    write: (occasions) => JSON.stringify(write(occasions, last_refresh)),
    interval_ms: report_interval * 1000,
    timeout_ms: report_timeout * 1000,
    failed: (error) => events.emit('on_error', { section: 'report', error }),
  })

  function noteFailure({ reason, error }: NoUpdate): void {
    const before = outcome
    const of_document = reason === 'unchanged' || reason === 'fetch' ? '' : activator.attempted()?.sha1
    outcome = [reason, error === undefined ? '' : reportError(error).code, of_document].join(' ').trim()
    if (outcome === before) return
    if (reason === 'unchanged') reporter.note('recovered')
    else reporter.note(reason === 'fetch' ? 'fetch' : 'refused')
  }

  const on = <N extends EventName>(name: N, listener: (payload: Payload<N>) => void) =>
    emitter.on(name, ownListener(listener) as never)
  on('bg_updated_plugins', ({ at }) => {
    last_refresh = { at, result: 'updated', error: null }
    outcome = 'unchanged'
    reporter.note('update')
  })
  on('bg_didnt_update_plugins', ({ at, ...came }) => {
    const { reason, error } = came
    last_refresh = { at, result: reason, error: error === undefined ? null : reportError(error) }
    noteFailure(came)
  })
  on('bg_stale', () => reporter.note('stale'))
  on('bg_plugin_expired', () => reporter.note('expired'))
  on('rt_breaker_opened', () => reporter.note('breaker'))
  on('rt_breaker_closed', () => reporter.note('breaker'))
  on('rt_rollout_stopped', () => reporter.note('rollout'))
  on('rt_canary_stopped', () => reporter.note('canary'))
  on('rt_canary_changed', () => reporter.note('canary'))
  on('bg_unit_reverted', () => reporter.note('rollout'))
  on('on_error', ({ section }) => {
    if (section === 'watchdog') reporter.note('quarantine')
  })
  return reporter
}
