import type { z } from 'zod'

/** Where a value is not as its schema has it, and how. */
export interface Mismatch {
  /** JSON path from the checked value, such as `plugins[0].phase`; '' for the value itself. */
  readonly path: string
  /** What was expected and what came. */
  readonly message: string
}

/** Puts the first fault that zod found into words: what was expected there, and what came. */
export function describeMismatch(error: z.ZodError, value: unknown): Mismatch {
  const issue = error.issues[0] as z.core.$ZodIssue
  const path = issue.path.filter((key) => typeof key !== 'symbol')
  if (issue.code === 'unrecognized_keys') {
    return { path: formatPath([...path, issue.keys[0] as string]), message: 'is not known' }
  }
  const came = describeValue(path.reduce<unknown>((at, key) => (at as Record<string, unknown>)?.[key], value))
  return { path: formatPath(path), message: `expected ${expectation(issue)}, got ${came}` }
}

function expectation(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case 'invalid_type':
      return issue.expected === 'record' || issue.expected === 'object'
        ? 'an object'
        : `a value of type ${issue.expected}`
    case 'invalid_value':
      return `one of ${issue.values.map((value) => JSON.stringify(value)).join(', ')}`
    case 'too_small':
      if (issue.origin === 'string') return 'a string that is not empty'
      return `a ${issue.origin} ${issue.inclusive ? 'of at least' : 'above'} ${issue.minimum}`
    case 'too_big':
      return issue.origin === 'string'
        ? `at most ${issue.maximum} characters`
        : `a ${issue.origin} ${issue.inclusive ? 'of at most' : 'below'} ${issue.maximum}`
    case 'invalid_union': {
      const kinds = issue.errors.map((issues) => issues[0]).filter((inner) => inner !== undefined)
      return [...new Set(kinds.map((inner) => expectation(inner)))].join(' or ')
    }
    default:
      return issue.message
  }
}

/** A JSON path in the way JavaScript would write it. */
export function formatPath(keys: readonly (string | number)[]): string {
  return keys.reduce<string>((path, key) => {
    if (typeof key === 'number') return `${path}[${key}]`
    if (!/^[\w$-]+$/.test(key)) return `${path}[${JSON.stringify(key.slice(0, 100))}]`
    return path === '' ? key : `${path}.${key}`
  }, '')
}

/** A value, short enough for a message. */
export function describeValue(value: unknown): string {
  if (value === undefined) return 'nothing'
  if (typeof value === 'function') return 'a function'
  if (typeof value === 'number' || typeof value === 'boolean' || value === null) return String(value)
  if (typeof value === 'bigint' || typeof value === 'symbol') return `the ${typeof value} ${String(value)}`
  if (Array.isArray(value)) return `an array of ${value.length}`
  if (typeof value !== 'string') return 'an object'
  return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value)
}
