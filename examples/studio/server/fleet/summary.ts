import type { Condition, Notable, Process, Report, Summary } from '../../shared/fleet.ts'

/** Of plugins that are not simply live, as many are kept of each process. */
const MOST_NOTABLE = 30
/** A process that is silent for so many of its intervals is taken to be down. */
const SILENT_AFTER_INTERVALS = 3
const TROUBLE: readonly string[] = ['last_good', 'refused', 'guarded', 'quarantined']

/** What is shown of a plugin though nothing is wrong with it: that it is switched off, or that its rollout stopped itself. */
const TOLD: readonly string[] = ['disabled', 'stopped']

/** Whether something keeps a plugin from running as it should. */
export function isTrouble({ state, breaker }: Pick<Notable, 'state' | 'breaker'>): boolean {
  return breaker !== 'closed' || TROUBLE.includes(state)
}

/** Takes of a report what lists and sums need: a report itself is large. */
export function summarize({
  name,
  interval = 30,
  disabled,
  stale,
  active,
  attempted,
  plugins,
  canary,
}: Report): Summary {
  const notable = plugins?.notable ?? []
  const wanted = [...notable.filter(isTrouble), ...notable.filter(({ state }) => TOLD.includes(state))]
  return {
    name: name ?? null,
    interval,
    disabled: disabled ?? false,
    stale: stale ?? false,
    enabled: active?.enabled ?? true,
    version: active?.version ?? null,
    refused_version: attempted?.verdict === 'nack' ? attempted.version : null,
    refused: attempted?.verdict === 'partial' ? attempted.refused.length + attempted.refused_left_out : 0,
    quarantined: plugins?.states.quarantined ?? 0,
    open_breakers: (plugins?.breakers.open ?? 0) + (plugins?.breakers.half_open ?? 0),
    canary_stopped: (canary?.stopped ?? null) !== null,
    notable: wanted
      .slice(0, MOST_NOTABLE)
      .map(({ domain, name, phase, state, breaker }) => ({ domain, name, phase, state, breaker })),
  }
}

/** A process as it last reported. */
export interface Known {
  readonly id: string
  readonly host: string
  readonly pid: number
  readonly received_at: Date
  readonly closed: boolean
  readonly summary: Summary
}

/**
 * Says of a process what is to be said first: the worst.
 *
 * @param live the newest version; 0 before there is one
 * @param now in milliseconds since 1970
 */
export function judge({ id, host, pid, received_at, closed, summary }: Known, live: number, now: number): Process {
  const is_silent = !closed && now - received_at.getTime() > summary.interval * 1000 * SILENT_AFTER_INTERVALS
  const [condition, text] = closed
    ? (['closed', 'closed'] as const)
    : is_silent
      ? (['silent', 'silent'] as const)
      : describe(summary, live)
  const since = closed || is_silent ? received_at.toISOString() : null
  return { id, name: summary.name, host, pid, version: summary.version, condition, text, since }
}

const count = (number: number, what: string) => `${number} ${what}${number === 1 ? '' : 's'}`

function describe(summary: Summary, live: number): [Condition, string] {
  const { version, refused_version, refused, quarantined, open_breakers, stale, disabled, enabled, canary_stopped } =
    summary
  if (refused_version !== null) return ['bad', `refused version ${refused_version}`]
  if (version === null) return ['bad', 'nothing loaded']
  if (stale) return ['bad', 'stale']
  if (refused > 0) return ['bad', `refused ${count(refused, 'part')} of version ${version}`]
  if (quarantined > 0) return ['bad', `${count(quarantined, 'plugin')} quarantined`]
  if (open_breakers > 0) return ['bad', `${count(open_breakers, 'breaker')} open`]
  if (canary_stopped) return ['bad', 'candidate document stopped']
  if (disabled) return ['warn', 'disabled in the app']
  if (!enabled) return ['warn', 'plugins are switched off']
  if (typeof version === 'number' && version < live) return ['warn', 'behind']
  return ['good', 'healthy']
}
