import { useEffect, useState } from 'preact/hooks'
import type { Finding } from '../../shared/review.ts'
import type { Problem } from '../api.ts'
import { useDelayed } from '../parts/page.ts'
import { useStudio } from '../studio.tsx'

const SEVERITIES = ['error', 'warning', 'note']
/** How long somebody has to pause before what they typed is checked, in milliseconds. */
const PAUSE_MS = 300

/** What the checks find. */
export interface Checked {
  readonly findings: readonly Finding[]
  /** Why it could not be checked. */
  readonly problem: Problem | undefined
}

/** Checks a document of one plugin while somebody types, once they pause. */
export function useCheck(document: object): Checked {
  const { api } = useStudio()
  const text = useDelayed(JSON.stringify({ document }), PAUSE_MS)
  const [state, setState] = useState<Checked>({ findings: [], problem: undefined })
  useEffect(() => {
    const control = new AbortController()
    api.send<{ findings: readonly Finding[] }>('POST', '/check', JSON.parse(text), control.signal).then(
      ({ findings }) => {
        // What is to be said of the domain, and is no error, is said at the review.
        const own = findings
          .filter(({ plugin, severity }) => plugin !== null || severity === 'error')
          .sort((a, b) => SEVERITIES.indexOf(a.severity) - SEVERITIES.indexOf(b.severity))
        if (!control.signal.aborted) setState({ findings: own, problem: undefined })
      },
      (problem) => control.signal.aborted || setState((before) => ({ ...before, problem })),
    )
    return () => control.abort()
  }, [api, text])
  return state
}

/** What is wrong with each field of the plugin, as far as it is not in its code. */
export function problemsOf(findings: readonly Finding[]): Record<string, string> {
  const found: Record<string, string> = {}
  for (const { path, message, line, severity } of findings) {
    if (line !== null || severity !== 'error') continue
    const field = /^domains\[0\]\.plugins\[0\]\.(.+)$/.exec(path)?.[1]
    if (field !== undefined) found[field] ??= message.replace(`${path}: `, '')
  }
  return found
}
