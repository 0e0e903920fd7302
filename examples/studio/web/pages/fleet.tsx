import { useMemo } from 'preact/hooks'
import { Empty, Show, useLoad } from '../load.tsx'
import { useTitle } from '../parts/page.ts'
import { Ago } from '../parts/time.tsx'
import { useStudio, useStudioEvent } from '../studio.tsx'

interface Refused {
  readonly domain: string | null
  readonly name: string | null
  readonly phase: string | null
  readonly message: string
  readonly line: number | null
  readonly kept_last_good: boolean
}

interface Notable {
  readonly domain: string
  readonly name: string
  readonly phase: string | null
  readonly state: string
  readonly breaker: string
  readonly error: string | null
}

interface Counters {
  readonly domain: string
  readonly name: string
  readonly phase: string
  readonly calls: number
  readonly errors: number
  readonly exits: number
  readonly shadow_runs: number
  readonly p50_ms: number | null
  readonly p99_ms: number | null
}

/** What the page shows of a report; instances of other versions may leave things out. */
interface Report {
  readonly name?: string | null
  readonly dynacode?: string
  readonly node?: string
  readonly interval?: number
  readonly closing?: boolean
  readonly disabled?: boolean
  readonly stale?: boolean
  readonly active?: {
    readonly version: number | string
    readonly since: number
    readonly from: string
    readonly enabled: boolean
  } | null
  readonly attempted?: {
    readonly version: number | string
    readonly verdict: 'ack' | 'partial' | 'nack'
    readonly error: { readonly message: string } | null
    readonly refused: readonly Refused[]
    readonly refused_left_out: number
  } | null
  readonly last_refresh?: { readonly result: string; readonly error: { readonly message: string } | null } | null
  readonly plugins?: {
    readonly total: number
    readonly states: Readonly<Record<string, number>>
    readonly breakers: Readonly<Record<string, number>>
    readonly notable: readonly Notable[]
  }
  readonly counters?: { readonly plugins: readonly Counters[] }
}

interface Instance {
  readonly id: string
  readonly host: string
  readonly pid: number
  readonly received_at: string
  readonly report: Report
}

/** Reports that come closer together than this are shown together, in milliseconds. */
const TOGETHER_MS = 500
/** Of plugins, as many as are shown. */
const MOST_PLUGINS = 100

/** Which process runs what, and how it fares; new reports come in by themselves. */
export function FleetPage() {
  const fleet = useLoad<readonly Instance[]>('/fleet')
  useTitle('Fleet')
  useStudioEvent('report', fleet.reload, TOGETHER_MS)
  return (
    <>
      <div class="head">
        <h1>Fleet</h1>
        <span class="hint">Live: reports come in by themselves.</span>
      </div>
      <Show of={fleet}>
        {(instances) =>
          instances.length === 0 ? (
            <Empty>
              <p>
                <strong>No instance has reported yet.</strong>
              </p>
              <p>
                Give dynacode <code>report_uri: '{location.origin}/api/reports'</code> and, in{' '}
                <code>report_headers</code>, a token from the page People.
              </p>
            </Empty>
          ) : (
            <>
              <Summary instances={instances} />
              <ul class="instances">
                {instances.map((instance) => (
                  <Entry key={instance.id} instance={instance} />
                ))}
              </ul>
              <Plugins instances={instances} />
            </>
          )
        }
      </Show>
    </>
  )
}

/** What is to be said of an instance first: the worst. */
function judge(
  { received_at, report }: Instance,
  live: number | undefined,
): { text: string; kind: 'good' | 'warn' | 'bad' } {
  const { closing, disabled, stale, active, attempted, interval = 30, plugins } = report
  if (closing) return { text: 'closed', kind: 'warn' }
  if (Date.now() - Date.parse(received_at) > interval * 3000) return { text: 'silent', kind: 'bad' }
  if (attempted?.verdict === 'nack') return { text: `refused version ${attempted.version}`, kind: 'bad' }
  if (active === null || active === undefined) return { text: 'nothing loaded', kind: 'bad' }
  if (disabled) return { text: 'disabled in the process', kind: 'warn' }
  if (stale) return { text: 'stale', kind: 'bad' }
  if (attempted?.verdict === 'partial') return { text: 'refused parts', kind: 'bad' }
  if ((plugins?.states.quarantined ?? 0) > 0) return { text: 'a plugin in quarantine', kind: 'bad' }
  if ((plugins?.breakers.open ?? 0) > 0) return { text: 'a breaker is open', kind: 'warn' }
  if (!active.enabled) return { text: 'switched off', kind: 'warn' }
  if (live !== undefined && typeof active.version === 'number' && active.version < live)
    return { text: 'behind', kind: 'warn' }
  return { text: 'fine', kind: 'good' }
}

function Summary({ instances }: { instances: readonly Instance[] }) {
  const { live } = useStudio()
  const on = instances.filter(({ report }) => report.active?.version === live?.version).length
  const trouble = instances.filter((instance) => judge(instance, live?.version).kind === 'bad').length
  return (
    <p class="summary" role="status">
      <b>{instances.length}</b> {instances.length === 1 ? 'instance' : 'instances'}
      {live !== undefined && live.version > 0 && (
        <>
          {' '}
          · <b>{on}</b> on version {live.version}
        </>
      )}
      {trouble > 0 && (
        <>
          {' '}
          · <b class="problem">{trouble} in trouble</b>
        </>
      )}
    </p>
  )
}

function Entry({ instance }: { instance: Instance }) {
  const { live } = useStudio()
  const { host, pid, received_at, report } = instance
  const { name, active, attempted, last_refresh, plugins, dynacode, node } = report
  const { text, kind } = judge(instance, live?.version)
  const notable = plugins?.notable ?? []
  return (
    <li class="card">
      <details>
        <summary>
          <span class="what">
            <b>{name ?? host}</b>{' '}
            <small>
              {name ? `${host} · ` : ''}pid {pid}
            </small>
          </span>
          <span class="number">{active ? `version ${active.version}` : 'no version'}</span>
          <span class={`badge ${kind}`}>{text}</span>
          <Ago at={received_at} />
        </summary>
        <dl class="facts">
          {active && (
            <>
              <dt>Live since</dt>
              <dd>
                <Ago at={active.since} />, from {active.from}
              </dd>
            </>
          )}
          {plugins && (
            <>
              <dt>Plugins</dt>
              <dd>
                {plugins.total}
                {Object.entries(plugins.states)
                  .filter(([, count]) => count > 0)
                  .map(([state, count]) => `, ${count} ${state.replace('_', ' ')}`)}
              </dd>
            </>
          )}
          {last_refresh && (
            <>
              <dt>Last refresh</dt>
              <dd>
                {last_refresh.result}
                {last_refresh.error && <span class="problem"> {last_refresh.error.message}</span>}
              </dd>
            </>
          )}
          <dt>Runs</dt>
          <dd>
            dynacode {dynacode}, Node {node}
          </dd>
        </dl>
        {attempted?.error && <p class="problem">{attempted.error.message}</p>}
        {attempted && attempted.refused.length > 0 && (
          <>
            <h3>Refused</h3>
            <ul class="findings">
              {attempted.refused.map(({ domain, name: plugin, phase, message, line, kept_last_good }) => (
                <li key={`${domain} ${plugin} ${phase} ${message}`} class="error">
                  <span aria-hidden="true">✖</span>
                  <span>
                    <b>
                      {domain}
                      {plugin === null ? '' : ` / ${plugin}`}
                      {line === null ? '' : `:${line}`}
                    </b>{' '}
                    {message} {kept_last_good && <small>an earlier version runs</small>}
                  </span>
                </li>
              ))}
              {attempted.refused_left_out > 0 && <li>{attempted.refused_left_out} more</li>}
            </ul>
          </>
        )}
        {notable.length > 0 && (
          <>
            <h3>Not simply live</h3>
            <ul class="rows">
              {notable.map((plugin) => (
                <li key={`${plugin.domain} ${plugin.name} ${plugin.phase}`}>
                  <span class="what">
                    <b>{plugin.name}</b> <small>{plugin.domain}</small>
                  </span>
                  <span class={isTrouble(plugin.state) ? 'badge bad' : 'badge'}>{plugin.state.replace('_', ' ')}</span>
                  {plugin.breaker !== 'closed' && (
                    <span class="badge bad">breaker {plugin.breaker.replace('_', ' ')}</span>
                  )}
                </li>
              ))}
            </ul>
          </>
        )}
      </details>
    </li>
  )
}

function isTrouble(state: string): boolean {
  return ['last_good', 'refused', 'guarded', 'quarantined'].includes(state)
}

/** What each plugin did, in all instances together. */
function Plugins({ instances }: { instances: readonly Instance[] }) {
  const totals = useMemo(() => sum(instances), [instances])
  if (totals.length === 0) return null
  return (
    <section aria-label="Plugins">
      <h2>What the plugins did</h2>
      <div class="scroll">
        <table class="numbers">
          <thead>
            <tr>
              <th scope="col">Plugin</th>
              <th scope="col">Phase</th>
              <th scope="col">Calls</th>
              <th scope="col">Errors</th>
              <th scope="col">Exits</th>
              <th scope="col">Shadow</th>
              <th scope="col">p50 ms</th>
              <th scope="col">p99 ms</th>
            </tr>
          </thead>
          <tbody>
            {totals
              .slice(0, MOST_PLUGINS)
              .map(({ domain, name, phase, calls, errors, exits, shadow_runs, p50_ms, p99_ms }) => (
                <tr key={`${domain} ${name} ${phase}`}>
                  <th scope="row">
                    {name} <small>{domain}</small>
                  </th>
                  <td>{phase}</td>
                  <td>{calls}</td>
                  <td class={errors > 0 ? 'problem' : undefined}>{errors}</td>
                  <td>{exits}</td>
                  <td>{shadow_runs}</td>
                  <td>{p50_ms?.toFixed(2) ?? '—'}</td>
                  <td>{p99_ms?.toFixed(2) ?? '—'}</td>
                </tr>
              ))}
          </tbody>
        </table>
      </div>
      <p class="hint">Since each instance began. The times are those of the slowest instance.</p>
    </section>
  )
}

function sum(instances: readonly Instance[]): readonly Counters[] {
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
