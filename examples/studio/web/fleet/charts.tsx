import type { Chart } from '../../shared/fleet.ts'
import { query } from '../api.ts'
import { type Line, LineChart, tell } from './chart.tsx'
import { type Column, OverTime, slotsOf, TableOfTimes } from './over-time.tsx'

/** What a plugin, or the fleet as a whole, did over the last hour or day. */
export function Charts({ plugin }: { plugin?: { domain: string; plugin: string; phase: string } }) {
  return (
    <OverTime<Chart>
      label="Charts"
      title={plugin === undefined ? 'All plugins over time' : 'Over time'}
      path={(range) => `/fleet/chart${query({ range, ...plugin })}`}
    >
      {(value) => <Drawn of={value} />}
    </OverTime>
  )
}

function Drawn({ of }: { of: Chart }) {
  const { step_seconds, processes } = of
  const { times, indexOf, line, marks } = slotsOf(of)
  const rates = [line('calls', 'calls', 0), line('errors', 'errors', 0), line('exits', 'exits', 0)]
  const durations = [line('p50', 'p50_ms', null), line('p99', 'p99_ms', null)]
  const counted = new Map(processes.map(({ at, versions }) => [indexOf(at), versions]))
  const names = [...new Set(processes.flatMap(({ versions }) => Object.keys(versions)))].slice(-4)
  const live: Line[] = names.map((name) => ({
    name: `version ${name}`,
    values: times.map((_, at) => (counted.has(at) ? (counted.get(at)?.[name] ?? 0) : null)),
  }))
  const wentLive = (time: number) =>
    marks.filter(({ at }) => at >= time && at < time + step_seconds * 1000).map(({ name }) => name)
  const column =
    (unit: string) =>
    ({ name, values }: Line): Column => ({ head: name, textOf: (at) => tell(values[at] ?? null, unit) })
  return (
    <>
      <div class="charts">
        <LineChart title="Calls, errors and exits per second" unit="/s" times={times} lines={rates} marks={marks} />
        <LineChart title="Duration of a call in ms" unit="ms" times={times} lines={durations} marks={marks} />
        {live.length > 0 && <LineChart title="Processes by version" unit="" times={times} lines={live} marks={marks} />}
      </div>
      {marks.length > 0 && <p class="hint">A vertical line marks when a version went live.</p>}
      <TableOfTimes
        times={times}
        columns={[
          { head: 'Went live', textOf: (at) => wentLive(times[at] as number).join(', ') },
          ...rates.map(column('/s')),
          ...durations.map(column('ms')),
          ...live.map(column('')),
        ]}
      />
    </>
  )
}
