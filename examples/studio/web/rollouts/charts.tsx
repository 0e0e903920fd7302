import { useEffect, useState } from 'preact/hooks'
import type { RolloutChart } from '../../shared/rollouts.ts'
import { query } from '../api.ts'
import { clock, type Line, LineChart, type Mark, tell } from '../fleet/chart.tsx'
import { Show, useLoad } from '../load.tsx'
import { Scrolled } from '../parts/scrolled.tsx'
import { useStudioEvent } from '../studio.tsx'

const RANGES = [
  ['hour', 'Last hour'],
  ['day', 'Last day'],
] as const
const EVERY_MS = 5000

/** Both groups of a rollout side by side, over the last hour or day. */
export function RolloutCharts({ id }: { id: number }) {
  const [range, setRange] = useState<(typeof RANGES)[number][0]>('hour')
  const chart = useLoad<RolloutChart>(`/rollouts/${id}/chart${query({ range })}`)
  const { reload } = chart
  useStudioEvent('report', reload, EVERY_MS)
  useEffect(() => {
    const timer = setInterval(reload, 60_000)
    return () => clearInterval(timer)
  }, [reload])
  return (
    <section aria-label="Both groups over time">
      <div class="head">
        <h2>Both groups over time</h2>
        {/* biome-ignore lint/a11y/useSemanticElements: a fieldset is laid out by rules of its own */}
        <div class="switch" role="group" aria-label="Time">
          {RANGES.map(([value, name]) => (
            <button key={value} type="button" aria-pressed={range === value} onClick={() => setRange(value)}>
              {name}
            </button>
          ))}
        </div>
      </div>
      <Show of={chart}>{(value) => <Drawn of={value} />}</Show>
    </section>
  )
}

type Field = Exclude<keyof RolloutChart['points'][number], 'at'>

function Drawn({ of: { from, until, step_seconds, points, marks: versions } }: { of: RolloutChart }) {
  const begin = Date.parse(from)
  const count = Math.round((Date.parse(until) - begin) / 1000 / step_seconds)
  const times = Array.from({ length: count }, (_, at) => begin + at * step_seconds * 1000)
  const by_slot = new Map(
    points.map((point) => [Math.round((Date.parse(point.at) - begin) / 1000 / step_seconds), point]),
  )
  const line = (name: string, field: Field): Line => ({
    name,
    values: times.map((_, at) => by_slot.get(at)?.[field] ?? null),
  })
  const is_known = ({ values }: Line) => values.some((value) => value !== null)
  const marks: Mark[] = versions.map(({ at, version }) => ({ at: Date.parse(at), name: String(version) }))
  const charts = [
    {
      title: '5xx responses in %',
      lines: [line('rollout', 'status_5xx'), line('other requests', 'control_status_5xx')],
    },
    { title: 'Errors and exits in % of runs', lines: [line('exits', 'exits'), line('errors', 'errors')] },
    {
      title: 'Slow responses and runs in %',
      lines: [
        line('rollout', 'slow_responses'),
        line('other requests', 'control_slow_responses'),
        line('slow runs', 'slow_runs'),
      ],
    },
    { title: 'Share of the requests in %', lines: [line('rollout', 'share')] },
  ].filter(({ lines }) => lines.some(is_known))
  if (charts.length === 0) return <p class="hint">No process has counted anything in this time.</p>
  return (
    <>
      <div class="charts">
        {charts.map(({ title, lines }) => (
          <LineChart key={title} title={title} unit="%" times={times} lines={lines.filter(is_known)} marks={marks} />
        ))}
      </div>
      {versions.length > 0 && <p class="hint">A vertical line marks when a version changed the plugin.</p>}
      <Table
        times={times}
        columns={charts.flatMap(({ title, lines }) => lines.filter(is_known).map((each) => ({ title, ...each })))}
      />
    </>
  )
}

/** The same in numbers. */
function Table({ times, columns }: { times: readonly number[]; columns: readonly (Line & { title: string })[] }) {
  const [is_open, setOpen] = useState(false)
  return (
    <details onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>As a table</summary>
      {is_open && (
        <Scrolled kind="scroll" label="Values of the charts">
          <table class="numbers">
            <thead>
              <tr>
                <th scope="col">From</th>
                {columns.map(({ title, name }) => (
                  <th key={`${title} ${name}`} scope="col">
                    {title.replace(/ in %.*/, '')}: {name}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {times.map((time, at) => (
                <tr key={time}>
                  <th scope="row">{clock(time)}</th>
                  {columns.map(({ title, name, values }) => (
                    <td key={`${title} ${name}`}>{tell(values[at] ?? null, '%')}</td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </Scrolled>
      )}
    </details>
  )
}
