import { useEffect, useRef, useState } from 'preact/hooks'
import { format } from './plugin-list.tsx'

/** One line of a chart; null where nothing is known. */
export interface Line {
  readonly name: string
  readonly values: readonly (number | null)[]
}
/** Something that happened, in milliseconds since 1970. */
export interface Mark {
  readonly at: number
  readonly name: string
}

const HEIGHT = 170
const EDGE = { top: 18, right: 8, bottom: 20, left: 44 } as const

/**
 * Lines over time, with vertical marks; drawn as SVG, so that no more than a page of code is loaded for it. What it shows
 * stands in a table beside it for those who do not see it.
 *
 * @param times of the values, in milliseconds since 1970, at the same distance
 * @param unit of the values
 */
export function LineChart({
  title,
  unit,
  times,
  lines,
  marks,
}: {
  title: string
  unit: string
  times: readonly number[]
  lines: readonly Line[]
  marks: readonly Mark[]
}) {
  const box = useRef<HTMLElement>(null)
  const [width, setWidth] = useState(600)
  const [pointed, setPointed] = useState<number>()
  useEffect(() => {
    if (box.current === null) return undefined
    const observer = new ResizeObserver(([entry]) => entry && setWidth(Math.max(240, entry.contentRect.width)))
    observer.observe(box.current)
    return () => observer.disconnect()
  }, [])

  const top = roundUp(Math.max(0, ...lines.flatMap(({ values }) => values.map((value) => value ?? 0))))
  const [first, last] = [times[0] ?? 0, times.at(-1) ?? 1]
  // What happened in the slot that is under way stands at the edge.
  const x = (at: number) =>
    EDGE.left + ((Math.min(at, last) - first) / Math.max(1, last - first)) * (width - EDGE.left - EDGE.right)
  const y = (value: number) => HEIGHT - EDGE.bottom - (value / top) * (HEIGHT - EDGE.top - EDGE.bottom)
  const at = pointed === undefined ? undefined : times[pointed]
  const said = (index: number) =>
    lines.map(({ name, values }) => `${name} ${tell(values[index] ?? null, unit)}`).join(' · ')

  return (
    <figure class="chart" ref={box} aria-label={title}>
      <figcaption>
        <b>{title}</b>
        <span class="legend">
          {lines.map(({ name }, index) => (
            <span key={name} class={`line-${index}`}>
              {name}
            </span>
          ))}
        </span>
      </figcaption>
      <svg
        width={width}
        height={HEIGHT}
        role="img"
        aria-label={`${title}, at most ${tell(top, unit)}; the values are in the table below`}
        onPointerMove={(event) => {
          const { left } = event.currentTarget.getBoundingClientRect()
          const share = (event.clientX - left - EDGE.left) / (width - EDGE.left - EDGE.right)
          setPointed(Math.max(0, Math.min(times.length - 1, Math.round(share * (times.length - 1)))))
        }}
        onPointerLeave={() => setPointed(undefined)}
      >
        {[0, 0.5, 1].map((share) => (
          <g key={share}>
            <line class="grid-line" x1={EDGE.left} x2={width - EDGE.right} y1={y(top * share)} y2={y(top * share)} />
            <text x={EDGE.left - 6} y={y(top * share) + 4} text-anchor="end">
              {format(top * share)}
            </text>
          </g>
        ))}
        {(width < 400 ? [0, 0.5, 1] : [0, 0.25, 0.5, 0.75, 1]).map((share) => (
          <text
            key={share}
            x={x(first + (last - first) * share)}
            y={HEIGHT - 4}
            text-anchor={share === 0 ? 'start' : share === 1 ? 'end' : 'middle'}
          >
            {clock(first + (last - first) * share)}
          </text>
        ))}
        {marks.map((mark) => (
          <g key={mark.name} class="mark">
            <line x1={x(mark.at)} x2={x(mark.at)} y1={EDGE.top - 4} y2={HEIGHT - EDGE.bottom} />
            <text x={x(mark.at)} y={EDGE.top - 7} text-anchor="middle">
              {mark.name}
            </text>
          </g>
        ))}
        {lines.map(({ name, values }, index) => (
          <path key={name} class={`line-${index}`} d={draw(values, (position) => x(times[position] ?? 0), y)} />
        ))}
        {at !== undefined && <line class="pointer" x1={x(at)} x2={x(at)} y1={EDGE.top} y2={HEIGHT - EDGE.bottom} />}
      </svg>
      <p class="hint">{at === undefined || pointed === undefined ? ' ' : `${clock(at)}: ${said(pointed)}`}</p>
    </figure>
  )
}

function draw(values: readonly (number | null)[], x: (at: number) => number, y: (value: number) => number): string {
  let is_drawing = false
  return values
    .map((value, at) => {
      const step = value === null ? '' : `${is_drawing ? 'L' : 'M'}${x(at).toFixed(1)} ${y(value).toFixed(1)}`
      // A value between two gaps is a dot.
      const is_alone = value !== null && !is_drawing && (values[at + 1] ?? null) === null
      is_drawing = value !== null
      return is_alone ? `${step}h0.1` : step
    })
    .join('')
}

/** The next number that is easily read. */
function roundUp(value: number): number {
  if (value <= 0) return 1
  const size = 10 ** Math.floor(Math.log10(value))
  return ([1, 2, 4, 5, 10].find((step) => step * size >= value) ?? 10) * size
}

/** The time of day, short enough for an axis on a phone. */
export function clock(at: number): string {
  return new Date(at).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' })
}

/** A value with its unit. */
export function tell(value: number | null, unit: string): string {
  return value === null ? '–' : `${format(value)}${unit === '' ? '' : ` ${unit}`}`
}
