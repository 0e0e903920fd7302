import type { ShadowCounts as Counts, ShadowRuns } from '../../shared/fleet.ts'
import type { Loaded } from '../load.tsx'
import { Scrolled } from './scrolled.tsx'

/** Of plugins, as many as are shown. */
const MOST = 50

/** What shadows would have done; nothing where there are none. */
export function ShadowCounts({ of, by }: { of: Loaded<readonly ShadowRuns[]>; by: 'plugin' | 'instance' }) {
  const { value = [], problem } = of
  if (value.length === 0) return problem ? <p class="problem">{problem.message}</p> : null
  return (
    <section aria-label="Shadow results">
      <h2>Shadow results</h2>
      <Scrolled kind="scroll" label="Shadow results">
        <table class="numbers">
          <thead>
            <tr>
              <th scope="col">{by === 'plugin' ? 'Plugin' : 'Instance'}</th>
              <th scope="col">Phase</th>
              <th scope="col">Runs</th>
              <th scope="col">Would end</th>
              <th scope="col">Would change</th>
              <th scope="col">Failed</th>
            </tr>
          </thead>
          <tbody>
            {by === 'plugin'
              ? value
                  .slice(0, MOST)
                  .map((each) => (
                    <Row
                      key={`${each.domain} ${each.plugin} ${each.phase}`}
                      name={each.plugin}
                      of={each.domain}
                      phase={each.phase}
                      counts={each}
                    />
                  ))
              : value.flatMap(({ phase, instances }) =>
                  instances
                    .slice(0, MOST)
                    .map((each) => (
                      <Row
                        key={`${phase} ${each.id}`}
                        name={each.host}
                        of={`pid ${each.pid}`}
                        phase={phase}
                        counts={each}
                      />
                    )),
                )}
          </tbody>
        </table>
      </Scrolled>
      <p class="hint">Requests since each instance started. A request can be in several columns.</p>
    </section>
  )
}

function Row({
  name,
  of,
  phase,
  counts: { runs, exits, changes, errors },
}: {
  name: string
  of: string
  phase: string
  counts: Counts
}) {
  return (
    <tr>
      <th scope="row">
        {name} <small>{of}</small>
      </th>
      <td>{phase}</td>
      <td>{runs}</td>
      <td>{exits}</td>
      <td>{changes}</td>
      <td class={errors > 0 ? 'problem' : undefined}>{errors}</td>
    </tr>
  )
}
