import { useEffect, useState } from 'preact/hooks'
import type { Chart } from '../../shared/fleet.ts'
import { query } from '../api.ts'
import { Show, useLoad } from '../load.tsx'
import { Scrolled } from '../parts/scrolled.tsx'
import { clock, type Line, LineChart, type Mark, tell } from './chart.tsx'

const RANGES = [
  ['hour', 'Last hour'],
  ['day', 'Last day'],
] as const
type Range = (typeof RANGES)[number][0]

/** What a plugin, or the fleet as a whole, did over the last hour or day. */
export function Charts({ plugin }: { plugin?: { domain: string; plugin: string; phase: string } }) {
  const [range, setRange] = useState<Range>('hour')
  const chart = useLoad<Chart>(`/fleet/chart${query({ range, ...plugin })}`)
  const { reload } = chart
  useEffect(() => {
    const timer = setInterval(reload, 60_000)
    return () => clearInterval(timer)
  }, [reload])
  return (
    <section aria-label="Charts">
      <div class="head">
        <h2>{plugin === undefined ? 'All plugins over time' : 'Over time'}</h2>
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

function Drawn({ of: { from, until, step_seconds, points, processes, marks: versions } }: { of: Chart }) {
  const begin = Date.parse(from)
  const count = Math.round((Date.parse(until) - begin) / 1000 / step_seconds)
  const times = Array.from({ length: count }, (_, at) => begin + at * step_seconds * 1000)
  const indexOf = (at: string) => Math.round((Date.parse(at) - begin) / 1000 / step_seconds)
  const by_slot = new Map(points.map((point) => [indexOf(point.at), point]))
  const line = (
    name: string,
    field: 'calls' | 'errors' | 'exits' | 'p50_ms' | 'p99_ms',
    missing: number | null,
  ): Line => ({
    name,
    values: times.map((_, at) => by_slot.get(at)?.[field] ?? missing),
  })
  const marks: Mark[] = versions.map(({ at, version }) => ({ at: Date.parse(at), name: String(version) }))
  const rates = [line('calls', 'calls', 0), line('errors', 'errors', 0), line('exits', 'exits', 0)]
  const durations = [line('p50', 'p50_ms', null), line('p99', 'p99_ms', null)]
  const counted = new Map(processes.map(({ at, versions }) => [indexOf(at), versions]))
  const names = [...new Set(processes.flatMap(({ versions }) => Object.keys(versions)))].slice(-4)
  const live: Line[] = names.map((name) => ({
    name: `version ${name}`,
    values: times.map((_, at) => (counted.has(at) ? (counted.get(at)?.[name] ?? 0) : null)),
  }))
  return (
    <>
      <div class="charts">
        <LineChart title="Calls, errors and exits per second" unit="/s" times={times} lines={rates} marks={marks} />
        <LineChart title="Duration of a call in ms" unit="ms" times={times} lines={durations} marks={marks} />
        {live.length > 0 && <LineChart title="Processes by version" unit="" times={times} lines={live} marks={marks} />}
      </div>
      {versions.length > 0 && <p class="hint">A vertical line marks when a version went live.</p>}
      <Table times={times} step_seconds={step_seconds} rates={rates} durations={durations} live={live} marks={marks} />
    </>
  )
}

/** The same in numbers. */
function Table({
  times,
  step_seconds,
  rates,
  durations,
  live,
  marks,
}: {
  times: readonly number[]
  step_seconds: number
  rates: readonly Line[]
  durations: readonly Line[]
  live: readonly Line[]
  marks: readonly Mark[]
}) {
  const [is_open, setOpen] = useState(false)
  const wentLive = (at: number) =>
    marks.filter((mark) => mark.at >= at && mark.at < at + step_seconds * 1000).map(({ name }) => name)
  const columns = [
    ...rates.map((line) => ({ ...line, unit: '/s' })),
    ...durations.map((line) => ({ ...line, unit: 'ms' })),
    ...live.map((line) => ({ ...line, unit: '' })),
  ]
  return (
    <details onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>As a table</summary>
      {is_open && (
        <Scrolled kind="scroll" label="Values of the charts">
          <table class="numbers">
            <thead>
              <tr>
                <th scope="col">From</th>
                <th scope="col">Went live</th>
                {columns.map(({ name }) => (
                  <th key={name} scope="col">
                    {name}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {times.map((time, at) => (
                <tr key={time}>
                  <th scope="row">{clock(time)}</th>
                  <td>{wentLive(time).join(', ')}</td>
                  {columns.map(({ name, values, unit }) => (
                    <td key={name}>{tell(values[at] ?? null, unit)}</td>
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
