import type { Rollout } from '../../shared/rollouts.ts'
import { Scrolled } from '../parts/scrolled.tsx'

/** What was counted of both groups, since the rollout began. */
export function Groups({ of: { counts } }: { of: Rollout }) {
  const { inside, control } = counts
  const rows: readonly (readonly [string, string, string])[] = [
    ['requests', count(inside.requests), count(control.requests)],
    ['runs of the plugin', count(inside.runs), '–'],
    ['runs that failed', share(inside.errors, inside.runs), '–'],
    ['runs that ended the request', share(inside.exits, inside.runs), '–'],
    ['slow runs', share(inside.slow_runs, inside.runs), '–'],
    ['5xx responses', share(inside.status_5xx, inside.responses), share(control.status_5xx, control.responses)],
    [
      'slow responses',
      share(inside.slow_responses, inside.responses),
      share(control.slow_responses, control.responses),
    ],
  ]
  return (
    <section aria-label="Both groups">
      <h2>Both groups</h2>
      <Scrolled kind="scroll" label="What was counted of both groups">
        <table class="groups">
          <thead>
            <tr>
              <td />
              <th scope="col">Rollout</th>
              <th scope="col">Other requests</th>
            </tr>
          </thead>
          <tbody>
            {rows.map(([name, of_inside, of_control]) => (
              <tr key={name}>
                <th scope="row">{name}</th>
                <td>{of_inside}</td>
                <td>{of_control}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </Scrolled>
      <p class="hint">All processes together, since the rollout began. Only what “stop_when” limits is counted.</p>
    </section>
  )
}

const count = (value: number) => value.toLocaleString('en')

function share(part: number, all: number): string {
  if (all === 0) return '–'
  const percent = (part / all) * 100
  return `${count(part)} (${percent.toLocaleString('en', { maximumFractionDigits: percent < 10 ? 2 : 1 })} %)`
}
