import type { z } from 'zod'

/** Where a value is not as its schema has it, and how. */
export interface Mismatch {
  /** JSON path from the checked value, such as `plugins[0].phase`; '' for the value itself. */
  readonly path: string
  /** What was expected and what came. */
  readonly message: string
}

/**
 * Puts the first fault that zod found into words: what was expected there, and what came.
 *
 * @param describe puts what came into words
 */
export function describeMismatch(
  error: z.ZodError,
  value: unknown,
  describe: (came: unknown, path: string) => string = describeValue,
): Mismatch {
  const issue = innermost(error.issues[0] as z.core.$ZodIssue)
  const keys = issue.path.filter((key) => typeof key !== 'symbol')
  if (issue.code === 'unrecognized_keys') {
    return { path: formatPath([...keys, issue.keys[0] as string]), message: 'is not known' }
  }
  const came = keys.reduce<unknown>(memberOf, value)
  const path = formatPath(keys)
  return { path, message: `expected ${expectation(issue)}, got ${describe(came, path)}` }
}

/** Of an object, or of what has its members by get(), as a Map or `Headers`. */
function memberOf(at: unknown, key: string | number): unknown {
  const object = at as Record<string, unknown> | null | undefined
  if (typeof at !== 'object' || at === null || !(Symbol.iterator in at)) return object?.[key]
  return typeof object?.get === 'function' ? object.get(key) : object?.[key]
}

/** Of a union, the fault inside the one kind that the value is of, where that can be told. */
function innermost(issue: z.core.$ZodIssue): z.core.$ZodIssue {
  if (issue.code !== 'invalid_union') return issue
  const inner = issue.errors.map((issues) => issues[0]).find((first) => first !== undefined && first.path.length > 0)
  return inner === undefined ? issue : innermost({ ...inner, path: [...issue.path, ...inner.path] })
}

function expectation(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case 'invalid_type':
      // zod's numbers are finite.
      return issue.expected === 'number' ? 'a finite number' : withArticle(issue.expected)
    case 'invalid_value':
      return `${issue.values.length === 1 ? '' : 'one of '}${issue.values.map(describeValue).join(', ')}`
    case 'too_small':
      if (issue.origin === 'string') return 'a string that is not empty'
      return `${withArticle(issue.origin)} ${issue.inclusive ? 'of at least' : 'above'} ${issue.minimum}`
    case 'too_big':
      if (issue.origin === 'string') return `a string of at most ${issue.maximum} characters`
      return `${withArticle(issue.origin)} ${issue.inclusive ? 'of at most' : 'below'} ${issue.maximum}`
    case 'invalid_union': {
      const kinds = issue.errors.map((issues) => issues[0]).filter((inner) => inner !== undefined)
      return [...new Set(kinds.map((inner) => expectation(inner)))].join(' or ')
    }
    default:
      return issue.message
  }
}

/** A type as zod calls it, in words. */
function withArticle(type: string): string {
  if (type === 'int') return 'an integer'
  if (type === 'record') return 'an object'
  return `${/^[aeiou]/.test(type) ? 'an' : 'a'} ${type}`
}

/** A JSON path in the way JavaScript would write it. */
export function formatPath(keys: readonly (string | number)[]): string {
  return keys.reduce<string>((path, key) => {
    if (typeof key === 'number') return `${path}[${key}]`
    if (!/^[\w$-]+$/.test(key)) return `${path}[${JSON.stringify(key.slice(0, 100))}]`
    return path === '' ? key : `${path}.${key}`
  }, '')
}

/** A value's kind, for a message that must not show what may be secret. */
export function describeKind(value: unknown): string {
  return typeof value === 'string' ? 'a string' : describeValue(value)
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
