import { Problem } from '../problem.ts'

/** Deeper than any document goes; what walks through values calls itself. */
const DEEPEST = 100
/** More than any form or plugin has; of a document that is imported, somebody else counts. */
const MOST_VALUES = 200_000

/**
 * Sees to it that a value of a request can be stored and walked through.
 *
 * @param most values in it
 * @throws Problem that names the place of a NUL, which the database has no room for, or of what is nested too deeply
 */
export function demandPlain(value: unknown, what: string, most = MOST_VALUES): void {
  let count = 0
  const open: { value: unknown; path: Path | undefined; depth: number }[] = [{ value, path: undefined, depth: 0 }]
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { value, path, depth } = next
    if (typeof value === 'string' && value.includes('\0')) throw fault(what, path, 'expected no NUL')
    if (typeof value !== 'object' || value === null) continue
    if (depth === DEEPEST) throw fault(what, path, `is nested more than ${DEEPEST} deep`)
    const parts = Object.entries(value)
    count += parts.length
    if (count > most) throw fault(what, path, `has more than ${most} values`)
    for (const [key, part] of parts) {
      if (key.includes('\0')) throw fault(what, path, 'expected no NUL in a name')
      open.push({ value: part, path: { key, above: path }, depth: depth + 1 })
    }
  }
}

interface Path {
  readonly key: string
  readonly above: Path | undefined
}

function fault(what: string, path: Path | undefined, message: string): Problem {
  const keys: string[] = []
  for (let at = path; at !== undefined; at = at.above) keys.unshift(at.key)
  const field = keys.length > 6 ? `${keys.slice(0, 6).join('.')}…` : keys.join('.')
  return new Problem(422, `${what}: ${field === '' ? '' : `${field}: `}${message}`, { fields: { [field]: message } })
}
