import type { Instance } from '../../shared/fleet.ts'
import { Ago } from '../parts/time.tsx'
import { useStudio } from '../studio.tsx'
import { judge } from './report.ts'

/** One process; its details once somebody opens them. */
export function InstanceEntry({ instance }: { instance: Instance }) {
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
                    {message} {kept_last_good && <small>the last good version runs</small>}
                  </span>
                </li>
              ))}
              {attempted.refused_left_out > 0 && <li>{attempted.refused_left_out} more</li>}
            </ul>
          </>
        )}
        {notable.length > 0 && (
          <>
            <h3>Needs attention</h3>
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
