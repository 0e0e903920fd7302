import { useState } from 'preact/hooks'
import { type Instance, isGone, type Process } from '../../shared/fleet.ts'
import { describeReason } from '../../shared/rollouts.ts'
import { Show, useLoad } from '../load.tsx'
import { Ago } from '../parts/time.tsx'
import { useStudioEvent } from '../studio.tsx'

const KINDS = { bad: 'bad', warn: 'warn', good: 'good', silent: 'warn', closed: '' } as const
/** What is open is looked at once in this time while reports come in, in milliseconds. */
const LOOK_EVERY_MS = 5000

/** One process; what it reported last once somebody opens it. */
export function ProcessRow({ process, dismiss }: { process: Process; dismiss?: (process: Process) => void }) {
  const { id, name, host, pid, version, condition, text, since } = process
  const [is_open, setOpen] = useState(false)
  return (
    <li class={`card ${condition}`}>
      <details onToggle={(event) => setOpen(event.currentTarget.open)}>
        <summary>
          <span class={`badge ${KINDS[condition]}`}>{text}</span>
          <span class="what">
            <b>{name ?? host}</b>{' '}
            <small>
              {name ? `${host} · ` : ''}pid {pid}
            </small>
          </span>
          <span class="number">{version === null ? 'no version' : `version ${version}`}</span>
          {since !== null && (
            <small>
              last report <Ago at={since} />
            </small>
          )}
        </summary>
        {is_open && <LastReport id={id} />}
      </details>
      {dismiss && isGone(process) && (
        <button type="button" onClick={() => dismiss(process)} aria-label={`Dismiss ${name ?? host}, pid ${pid}`}>
          Dismiss
        </button>
      )}
    </li>
  )
}

function LastReport({ id }: { id: string }) {
  const loaded = useLoad<Instance>(`/fleet/processes/${encodeURIComponent(id)}`)
  useStudioEvent('report', loaded.reload, LOOK_EVERY_MS)
  return <Show of={loaded}>{(instance) => <Report of={instance} />}</Show>
}

function Report({ of: { received_at, report } }: { of: Instance }) {
  const { active, attempted, last_refresh, plugins, dynacode, node, interval, canary } = report
  const notable = plugins?.notable ?? []
  return (
    <>
      <dl class="facts">
        <dt>Last report</dt>
        <dd>
          <Ago at={received_at} />
          {interval !== undefined && `, expected every ${interval} s`}
        </dd>
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
        {canary && (
          <>
            <dt>Candidate document</dt>
            <dd>
              {canary.stopped === null
                ? `for ${canary.percent} % of the requests`
                : `stopped: ${describeReason({ ...canary.stopped, counts: null })}`}
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
    </>
  )
}

function isTrouble(state: string): boolean {
  return ['last_good', 'refused', 'guarded', 'quarantined'].includes(state)
}
