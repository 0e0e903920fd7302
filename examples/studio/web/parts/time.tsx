import { useEffect, useState } from 'preact/hooks'

const RELATIVE = new Intl.RelativeTimeFormat('en', { numeric: 'auto', style: 'short' })
const UNITS = [
  ['second', 60],
  ['minute', 60],
  ['hour', 24],
  ['day', 30],
  ['month', 12],
  ['year', Number.POSITIVE_INFINITY],
] as const

/** How long ago something was; the time itself on pointing at it. */
export function Ago({ at }: { at: string | number }) {
  const [, setTurn] = useState(0)
  useEffect(() => {
    const timer = setInterval(() => setTurn((turn) => turn + 1), 10_000)
    return () => clearInterval(timer)
  }, [])
  const time = new Date(at)
  return (
    <time dateTime={time.toISOString()} title={time.toLocaleString()}>
      {describe((time.getTime() - Date.now()) / 1000)}
    </time>
  )
}

function describe(seconds: number): string {
  let amount = seconds > -5 && seconds < 5 ? 0 : seconds
  for (const [unit, size] of UNITS) {
    if (Math.abs(amount) < size) return RELATIVE.format(Math.round(amount), unit)
    amount /= size
  }
  return ''
}
