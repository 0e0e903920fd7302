import type { RolloutChart } from '../../shared/rollouts.ts'
import { query } from '../api.ts'
import { type Line, LineChart, tell } from '../fleet/chart.tsx'
import { OverTime, slotsOf, TableOfTimes } from '../fleet/over-time.tsx'

const EVERY_MS = 5000

/** Both groups of a rollout side by side, over the last hour or day. */
export function RolloutCharts({ id }: { id: number }) {
  return (
    <OverTime<RolloutChart>
      label="Both groups over time"
      title="Both groups over time"
      reports_every_ms={EVERY_MS}
      path={(range) => `/rollouts/${id}/chart${query({ range })}`}
    >
      {(value) => <Drawn of={value} />}
    </OverTime>
  )
}

function Drawn({ of }: { of: RolloutChart }) {
  const { times, line, marks } = slotsOf(of)
  const is_known = ({ values }: Line) => values.some((value) => value !== null)
  const charts = [
    {
      title: '5xx responses in %',
      lines: [line('rollout', 'status_5xx', null), line('other requests', 'control_status_5xx', null)],
    },
    {
      title: 'Errors and exits in % of runs',
      lines: [line('exits', 'exits', null), line('errors', 'errors', null)],
    },
    {
      title: 'Slow responses and runs in %',
      lines: [
        line('rollout', 'slow_responses', null),
        line('other requests', 'control_slow_responses', null),
        line('slow runs', 'slow_runs', null),
      ],
    },
    { title: 'Share of the requests in %', lines: [line('rollout', 'share', null)] },
  ].map(({ title, lines }) => ({ title, lines: lines.filter(is_known) }))
  const shown = charts.filter(({ lines }) => lines.length > 0)
  if (shown.length === 0) return <p class="hint">No process has counted anything in this time.</p>
  return (
    <>
      <div class="charts">
        {shown.map(({ title, lines }) => (
          <LineChart key={title} title={title} unit="%" times={times} lines={lines} marks={marks} />
        ))}
      </div>
      {marks.length > 0 && <p class="hint">A vertical line marks when a version changed the plugin.</p>}
      <TableOfTimes
        times={times}
        columns={shown.flatMap(({ title, lines }) =>
          lines.map(({ name, values }) => ({
            head: `${title.replace(/ in %.*/, '')}: ${name}`,
            textOf: (at: number) => tell(values[at] ?? null, '%'),
          })),
        )}
      />
    </>
  )
}
