import type { ComponentChildren } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import { Show, useLoad } from '../load.tsx'
import { Scrolled } from '../parts/scrolled.tsx'
import { useStudioEvent } from '../studio.tsx'
import { clock, type Line, type Mark } from './chart.tsx'

const RANGES = [
  ['hour', 'Last hour'],
  ['day', 'Last day'],
] as const
export type Range = (typeof RANGES)[number][0]

/**
 * Charts of the last hour or day, loaded again every minute.
 *
 * @param path where the values of a range are
 * @param reports_every_ms loads them again when processes report, so often at most; undefined: not
 */
export function OverTime<T>({
  label,
  title,
  path,
  reports_every_ms,
  children,
}: {
  label: string
  title: string
  path(range: Range): string
  reports_every_ms?: number
  children(value: T): ComponentChildren
}) {
  const [range, setRange] = useState<Range>('hour')
  const chart = useLoad<T>(path(range))
  const { reload } = chart
  useEffect(() => {
    const timer = setInterval(reload, 60_000)
    return () => clearInterval(timer)
  }, [reload])
  return (
    <section aria-label={label}>
      <div class="head">
        <h2>{title}</h2>
        {/* biome-ignore lint/a11y/useSemanticElements: a fieldset is laid out by rules of its own */}
        <div class="switch" role="group" aria-label="Time">
          {RANGES.map(([value, name]) => (
            <button key={value} type="button" aria-pressed={range === value} onClick={() => setRange(value)}>
              {name}
            </button>
          ))}
        </div>
      </div>
      {/* Not with what is drawn: a report that comes while the first values are on their way would be missed. */}
      {reports_every_ms !== undefined && <OnReports reload={reload} every_ms={reports_every_ms} />}
      <Show of={chart}>{children}</Show>
    </section>
  )
}

function OnReports({ reload, every_ms }: { reload(): void; every_ms: number }) {
  useStudioEvent('report', reload, every_ms)
  return null
}

/** Values by the times of a range. */
export interface Slots<P> {
  /** When each begins, in milliseconds. */
  readonly times: readonly number[]
  /** Which of them a time is in. */
  indexOf(at: string): number
  /** A line of one field. @param missing where nothing is known */
  line(
    name: string,
    field: { [K in keyof P]: P[K] extends number | null ? K : never }[keyof P],
    missing: number | null,
  ): Line
  readonly marks: readonly Mark[]
}

/** Puts the points of a chart into its times. */
export function slotsOf<P extends { readonly at: string }>({
  from,
  until,
  step_seconds,
  points,
  marks,
}: {
  readonly from: string
  readonly until: string
  readonly step_seconds: number
  readonly points: readonly P[]
  readonly marks: readonly { readonly at: string; readonly version: number | string }[]
}): Slots<P> {
  const begin = Date.parse(from)
  const count = Math.round((Date.parse(until) - begin) / 1000 / step_seconds)
  const times = Array.from({ length: count }, (_, at) => begin + at * step_seconds * 1000)
  const indexOf = (at: string) => Math.round((Date.parse(at) - begin) / 1000 / step_seconds)
  const by_slot = new Map(points.map((point) => [indexOf(point.at), point]))
  return {
    times,
    indexOf,
    line: (name, field, missing) => ({
      name,
      values: times.map((_, at) => (by_slot.get(at)?.[field] as number | null | undefined) ?? missing),
    }),
    marks: marks.map(({ at, version }) => ({ at: Date.parse(at), name: String(version) })),
  }
}

/** A column of the table: its head, and what stands at each of the times. */
export interface Column {
  readonly head: string
  textOf(at: number): string
}

/** The same as the charts in numbers. */
export function TableOfTimes({ times, columns }: { times: readonly number[]; columns: readonly Column[] }) {
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
                {columns.map(({ head }) => (
                  <th key={head} scope="col">
                    {head}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {times.map((time, at) => (
                <tr key={time}>
                  <th scope="row">{clock(time)}</th>
                  {columns.map(({ head, textOf }) => (
                    <td key={head}>{textOf(at)}</td>
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
