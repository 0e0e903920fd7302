import type { Instance, Report } from '../../shared/fleet.ts'

export type Counters = NonNullable<Report['counters']>['plugins'][number]

/** What is to be said of an instance first: the worst. */
export function judge(
  { received_at, report }: Instance,
  live: number | undefined,
): { text: string; kind: 'good' | 'warn' | 'bad' } {
  const { closing, disabled, stale, active, attempted, interval = 30, plugins } = report
  if (closing) return { text: 'closed', kind: 'warn' }
  if (Date.now() - Date.parse(received_at) > interval * 3000) return { text: 'silent', kind: 'bad' }
  if (attempted?.verdict === 'nack') return { text: `refused version ${attempted.version}`, kind: 'bad' }
  if (active === null || active === undefined) return { text: 'nothing loaded', kind: 'bad' }
  if (disabled) return { text: 'disabled in the app', kind: 'warn' }
  if (stale) return { text: 'stale', kind: 'bad' }
  if (attempted?.verdict === 'partial') return { text: 'some plugins refused', kind: 'bad' }
  if ((plugins?.states.quarantined ?? 0) > 0) return { text: 'plugin quarantined', kind: 'bad' }
  if ((plugins?.breakers.open ?? 0) > 0) return { text: 'breaker open', kind: 'warn' }
  if (!active.enabled) return { text: 'switched off', kind: 'warn' }
  if (live !== undefined && typeof active.version === 'number' && active.version < live)
    return { text: 'behind', kind: 'warn' }
  return { text: 'fine', kind: 'good' }
}

/** Counters of all instances together: what failed first, then what ran most. */
export function sum(instances: readonly Instance[]): readonly Counters[] {
  const totals = new Map<string, Counters>()
  for (const { report } of instances) {
    for (const plugin of report.counters?.plugins ?? []) {
      const key = `${plugin.domain} ${plugin.name} ${plugin.phase}`
      const before = totals.get(key)
      totals.set(key, before === undefined ? plugin : add(before, plugin))
    }
  }
  return [...totals.values()].sort((a, b) => b.errors - a.errors || b.calls + b.shadow_runs - a.calls - a.shadow_runs)
}

function add(a: Counters, b: Counters): Counters {
  const slower = (one: number | null, other: number | null) =>
    one === null ? other : other === null ? one : Math.max(one, other)
  return {
    ...a,
    calls: a.calls + b.calls,
    errors: a.errors + b.errors,
    exits: a.exits + b.exits,
    shadow_runs: a.shadow_runs + b.shadow_runs,
    p50_ms: slower(a.p50_ms, b.p50_ms),
    p99_ms: slower(a.p99_ms, b.p99_ms),
  }
}
