import { useMemo } from 'preact/hooks'
import type { Instance } from '../../shared/fleet.ts'
import { Scrolled } from '../parts/scrolled.tsx'
import { sum } from './report.ts'

/** Of plugins, as many as are shown. */
const MOST_PLUGINS = 100

/** What each plugin did, in all instances together. */
export function PluginCounters({ instances }: { instances: readonly Instance[] }) {
  const totals = useMemo(() => sum(instances), [instances])
  if (totals.length === 0) return null
  return (
    <section aria-label="Plugins">
      <h2>Plugin activity</h2>
      <Scrolled kind="scroll" label="Plugin activity">
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
      </Scrolled>
      <p class="hint">Counted since each instance started. Times are those of the slowest instance.</p>
    </section>
  )
}
