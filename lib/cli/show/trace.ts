import { PHASES } from '../../document.ts'
import type { PluginTrace } from '../../tools/request-trace.ts'
import type { Ran } from '../../tools/run-request.ts'
import type { Style, Terminal } from './terminal.ts'

const STYLES: Readonly<Record<PluginTrace['outcome'], Style>> = Object.freeze({
  ran: 'green',
  failed: 'red',
  shadow: 'cyan',
  skipped: 'dim',
  refused: 'red',
})
/** Of a longer body, the beginning is shown. */
const LONGEST_BODY = 4000

/** Prints what became of a request, phase by phase. */
export function showTrace({ request, plugins, response, duration_ms }: Ran, { print, paint }: Terminal): void {
  print(paint('bold', `${request.method} ${request.url}`))
  for (const phase of [...PHASES, null]) {
    const here = plugins.filter((plugin) => plugin.phase === phase)
    if (here.length === 0) continue
    print(paint('bold', phase ?? 'without a phase'))
    for (const { plugin, domain, outcome, reason, changes, calls, duration_ms: spent_ms } of here) {
      const spent = spent_ms === null ? '' : `, ${spent_ms.toFixed(2)} ms`
      const often = calls > 1 ? `, ${calls} calls` : ''
      const why = reason === null ? '' : `: ${reason}`
      print(`  ${paint(STYLES[outcome], outcome.padEnd(7))} ${plugin} (${domain}${often}${spent})${why}`)
      for (const change of changes) print(`          ${change}`)
    }
  }
  print('')
  print(paint('bold', `${response.status} ${response.message} (${duration_ms.toFixed(1)} ms)`))
  for (const [name, value] of Object.entries(response.headers)) print(`${name}: ${[value].flat().join(', ')}`)
  print('')
  const { body } = response
  if (body !== '') print(body.length > LONGEST_BODY ? `${body.slice(0, LONGEST_BODY)}…` : body.replace(/\n$/, ''))
}
