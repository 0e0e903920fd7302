import type { Ran } from '../../shared/trial.ts'
import { PHASES } from '../editor/plugin-form.ts'
import { Scrolled } from './scrolled.tsx'

/** Of those that had nothing to do with the request, the page shows no more. */
const MOST_SKIPPED = 20

/** A request's way through the plugins, phase by phase. */
export function Trace({ ran: { request, plugins, response, duration_ms } }: { ran: Ran }) {
  const told = plugins.filter(({ outcome }) => outcome !== 'skipped')
  const skipped = plugins.filter(({ outcome }) => outcome === 'skipped')
  const shown = new Set([...told, ...skipped.slice(0, MOST_SKIPPED)])
  const { status, message, headers, body } = response
  return (
    <div class="trace">
      <h2>
        <span class={`status s${Math.floor(status / 100)}`}>{status}</span> {message}
      </h2>
      <p class="hint">
        {request.method} {request.url} · {duration_ms.toFixed(1)} ms
      </p>
      {plugins.length === 0 && <p>There are no plugins.</p>}
      <ol class="phases">
        {[...PHASES, null].map((phase) => {
          const own = plugins.filter((each) => each.phase === phase && shown.has(each))
          if (own.length === 0) return null
          return (
            <li key={phase}>
              <h3>{phase ?? 'no phase'}</h3>
              <ul>
                {own.map((each) => (
                  <li key={`${each.domain} ${each.plugin}`} class={each.outcome}>
                    <p>
                      <span class={`badge ${each.outcome}`}>{each.outcome}</span> <b>{each.plugin}</b>{' '}
                      <small>{each.domain}</small>
                      {each.duration_ms !== null && <small> {each.duration_ms.toFixed(2)} ms</small>}
                      {each.calls > 1 && <small> {each.calls} calls</small>}
                    </p>
                    {each.reason !== null && (
                      <p class={each.outcome === 'skipped' ? 'hint' : 'problem'}>{each.reason}</p>
                    )}
                    {each.changes.map((change) => (
                      <p key={change}>
                        <code>{change}</code>
                      </p>
                    ))}
                  </li>
                ))}
              </ul>
            </li>
          )
        })}
      </ol>
      {skipped.length > MOST_SKIPPED && <p class="hint">{skipped.length - MOST_SKIPPED} more skipped.</p>}
      <h3>Response</h3>
      <Scrolled label="Response">
        <pre>
          {`${status} ${message}\n`}
          {Object.entries(headers).flatMap(([name, value]) => [value].flat().map((each) => `${name}: ${each}\n`))}
          {`\n${body}`}
        </pre>
      </Scrolled>
    </div>
  )
}
