import { countFindings, type Located } from '../../tools/finding.ts'
import type { Severity } from '../../tools/lint/rule.ts'
import { drawFrame } from './code-frame.ts'
import type { Style, Terminal } from './terminal.ts'

const STYLES: Readonly<Record<Severity, Style>> = Object.freeze({ error: 'red', warning: 'yellow', note: 'cyan' })

/** Prints findings, each with the code that is meant. */
export function showFindings(
  found: readonly Located[],
  name: string,
  print: (line: string) => void,
  terminal: Terminal,
): void {
  const { paint } = terminal
  for (const { finding, text } of found) {
    const { rule, severity, message, plugin, phase, domain, path, file, line, column } = finding
    const place = [file ?? (path || name), line, column].filter((part) => part !== null).join(':')
    const whose = plugin === null ? domain : `${plugin}${phase === null ? '' : `, ${phase}`}, ${domain}`
    print(`${paint('bold', place)} ${paint(STYLES[severity], severity)} ${rule}${whose === null ? '' : ` (${whose})`}`)
    print(`  ${message}`)
    if (line !== null && text !== undefined) print(drawFrame(text, line, column ?? undefined, terminal))
    print('')
  }
}

/** The counts in words: `2 errors, 1 note`. */
export function describeCounts(found: readonly Located[], { paint }: Terminal): string {
  const parts = Object.entries(countFindings(found)).flatMap(([names, count]) => {
    if (count === 0) return []
    const style = STYLES[names.slice(0, -1) as Severity]
    return [paint(style, `${count} ${count === 1 ? names.slice(0, -1) : names}`)]
  })
  return parts.length === 0 ? paint('green', 'no problems found') : parts.join(', ')
}
