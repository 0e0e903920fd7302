import type { Context } from 'koa'
import * as z from 'zod'
import { createAddressTest, readAddress } from './client-address.ts'
import { createPathTest, readPath } from './path-pattern.ts'

/** Whether something holds for a request. */
export type Predicate = (ctx: Context) => boolean

/** A condition looks at what was sent; whether it was signed is the plugin's to ask. */
const UNSIGNED = { signed: false }

/** What methods and the names of headers are made of. */
const TOKEN = /^[\w!#$%&'*+.^`|~-]+$/

const expression = z.string().superRefine((source, context) => {
  try {
    new RegExp(source)
  } catch (error) {
    context.addIssue({ code: 'custom', message: `a regular expression (${(error as Error).message})` })
  }
})
const path = z
  .string()
  .startsWith('/', 'a path that begins with /')
  .superRefine((pattern, context) => {
    try {
      readPath(pattern)
    } catch (error) {
      context.addIssue({ code: 'custom', message: `a path of path-to-regexp (${(error as Error).message})` })
    }
  })
const address = z.string().refine((text) => readAddress(text) !== undefined, 'an IP address or CIDR range')

const value = z.union([
  z.string(),
  z.array(z.string()).min(1),
  z
    .strictObject({ regex: expression.optional(), present: z.boolean().optional() })
    .refine(({ regex, present }) => (regex === undefined) !== (present === undefined), 'either regex or present'),
])
/** Of what names, none of which may be one that no request can have: a slip of the pen would hold for nobody, or everybody. */
const valuesOf = (names: string, isName: (name: string) => boolean) =>
  z.record(z.string(), value).superRefine((given, context) => {
    const strange = Object.keys(given).find((name) => !isName(name))
    if (strange !== undefined) {
      const message = `names of ${names} (${JSON.stringify(strange)} is none)`
      context.addIssue({ code: 'custom', message })
    } else if (Object.keys(given).length === 0) {
      context.addIssue({ code: 'custom', message: `at least one name of ${names}` })
    }
  })
const list = <T extends z.ZodType>(item: T) => z.union([item, z.array(item).min(1)])

const keys = {
  methods: list(z.string().regex(TOKEN, 'a method')).optional(),
  paths: list(path).optional(),
  paths_raw: list(path).optional(),
  ips: list(address).optional(),
  headers: valuesOf('headers', (name) => TOKEN.test(name)).optional(),
  cookies: valuesOf('cookies', (name) => /^[^\s;=]+$/.test(name)).optional(),
  query: valuesOf('parameters', (name) => name !== '').optional(),
  user_agent: value.optional(),
}

/**
 * The conditions of a plugin, `when`. Strict, unlike the rest of the document: an unknown key would be a condition that
 * is not asked for, and the plugin would run where it was not meant to.
 *
 * @internal
 */
export const conditionSchema = z.strictObject({
  ...keys,
  not: z.strictObject(keys).optional(),
}) satisfies z.ZodType<Condition>

/** Conditions on a request: all of these keys must match, and none of `not`. */
export interface Condition extends Keys {
  not?: Keys | undefined
}
interface Keys {
  methods?: string | string[] | undefined
  paths?: string | string[] | undefined
  paths_raw?: string | string[] | undefined
  ips?: string | string[] | undefined
  headers?: Record<string, Value> | undefined
  cookies?: Record<string, Value> | undefined
  query?: Record<string, Value> | undefined
  user_agent?: Value | undefined
}
/** One text, one of some, or more than that. */
type Value = string | string[] | { regex?: string | undefined; present?: boolean | undefined }

/** Builds one predicate of a plugin's conditions: every key must hold, and none of those under `not`. */
export function createPredicate(condition: Condition): Predicate {
  const { not, ...wanted } = condition
  const all = createTests(wanted, 'any')
  // An exclusion is a way past a plugin: it takes a path that is excluded however it is taken.
  const none = createTests(not ?? {}, 'every')
  const [first] = all
  if (first !== undefined && all.length === 1 && none.length === 0) return first
  return (ctx) => all.every((holds) => holds(ctx)) && !none.some((holds) => holds(ctx))
}

function createTests(
  { methods, paths, paths_raw, ips, headers, cookies, query, user_agent }: Keys,
  taken: 'any' | 'every',
): readonly Predicate[] {
  const tests: Predicate[] = []
  // The cheapest first: most requests fail on one of these.
  if (methods !== undefined) tests.push(createMethodTest(toList(methods)))
  if (paths !== undefined) tests.push(createPathTest(toList(paths), taken))
  if (paths_raw !== undefined) tests.push(createPathTest(toList(paths_raw), 'sent'))
  if (user_agent !== undefined) tests.push(createValueTest(user_agent, (ctx) => ctx.req.headers['user-agent']))
  for (const [name, wanted] of Object.entries(headers ?? {})) {
    const key = name.toLowerCase()
    tests.push(createValueTest(wanted, (ctx) => own(ctx.req.headers, key)))
  }
  for (const [name, wanted] of Object.entries(query ?? {}))
    tests.push(createValueTest(wanted, (ctx) => own(ctx.query, name)))
  for (const [name, wanted] of Object.entries(cookies ?? {}))
    tests.push(createValueTest(wanted, (ctx) => ctx.cookies.get(name, UNSIGNED)))
  if (ips !== undefined) tests.push(createAddressTest(toList(ips)))
  return tests
}

function createMethodTest(methods: readonly string[]): Predicate {
  const wanted = new Set(methods.map((method) => method.toUpperCase()))
  return (ctx) => wanted.has(ctx.method)
}

/** @param read the request's value or values; undefined when it has none */
function createValueTest(wanted: Value, read: (ctx: Context) => string | readonly string[] | undefined): Predicate {
  const matches = createValueMatcher(wanted)
  return (ctx) => {
    const came = read(ctx)
    // A header or parameter that came more than once is every one of its values, whichever the app will look at.
    return Array.isArray(came) ? came.some(matches) : matches(came as string | undefined)
  }
}

function createValueMatcher(wanted: Value): (came: string | undefined) => boolean {
  if (typeof wanted === 'string') return (came) => came === wanted
  if (Array.isArray(wanted)) {
    const any = new Set(wanted)
    return (came) => came !== undefined && any.has(came)
  }
  if (wanted.regex === undefined) return (came) => (came !== undefined) === wanted.present
  const regex = new RegExp(wanted.regex)
  return (came) => came !== undefined && regex.test(came)
}

function toList<T>(given: T | T[]): T[] {
  return Array.isArray(given) ? given : [given]
}

/** Not what every object has: a header named `constructor` may well be asked for. */
export function own<T>(values: Readonly<Record<string, T>>, key: string): T | undefined {
  return Object.hasOwn(values, key) ? values[key] : undefined
}
