import type { ComponentChildren } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import { Show, useLoad } from '../load.tsx'
import { Scrolled } from '../parts/scrolled.tsx'
import { clock, type Line, type Mark } from './chart.tsx'

const RANGES = [
  ['hour', 'Last hour'],
  ['day', 'Last day'],
] as const
export type Range = (typeof RANGES)[number][0]

/** Charts of the last hour or day, loaded again every minute. @param path where the values of a range are */
export function OverTime<T>({
  label,
  title,
  path,
  children,
}: {
  label: string
  title: string
  path(range: Range): string
  children(value: T, reload: () => void): ComponentChildren
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
      <Show of={chart}>{(value) => children(value, reload)}</Show>
    </section>
  )
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
