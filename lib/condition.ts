import { BlockList, isIP } from 'node:net'
import type { Context } from 'koa'
import { pathToRegexp } from 'path-to-regexp'
import { z } from 'zod'

/** Whether something holds for a request. */
export type Predicate = (ctx: Context) => boolean

/** A condition looks at what was sent; whether it was signed is the plugin's to ask. */
const UNSIGNED = { signed: false }

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
      pathToRegexp(pattern)
    } catch (error) {
      context.addIssue({ code: 'custom', message: `a path of path-to-regexp (${(error as Error).message})` })
    }
  })
const address = z.string().refine((text) => readAddress(text) !== undefined, 'an IP address or CIDR range')

const value = z.union([
  z.string(),
  z.array(z.string()).min(1),
  z.strictObject({ regex: expression }),
  z.strictObject({ present: z.boolean() }),
])
const values = z.record(z.string().min(1), value)
const list = <T extends z.ZodType>(item: T) => z.union([item, z.array(item).min(1)])

const keys = {
  methods: list(z.string().min(1)).optional(),
  paths: list(path).optional(),
  ips: list(address).optional(),
  headers: values.optional(),
  cookies: values.optional(),
  query: values.optional(),
  user_agent: value.optional(),
}

/**
 * The conditions of a plugin, `when`. Strict, unlike the rest of the document: an unknown key would be a condition that
 * is not asked for, and the plugin would run where it was not meant to.
 */
export const conditionSchema = z.strictObject({ ...keys, not: z.strictObject(keys).optional() })

/** What a plugin asks of a request. */
export type Condition = z.infer<typeof conditionSchema>
type Keys = Omit<Condition, 'not'>
type Value = z.infer<typeof value>

/** Builds one predicate of a plugin's conditions: every key must hold, and none of those under `not`. */
export function createPredicate(condition: Condition): Predicate {
  const { not, ...wanted } = condition
  const all = createTests(wanted)
  const none = createTests(not ?? {})
  return (ctx) => all.every((holds) => holds(ctx)) && !none.some((holds) => holds(ctx))
}

function createTests({ methods, paths, ips, headers, cookies, query, user_agent }: Keys): readonly Predicate[] {
  const tests: Predicate[] = []
  // The cheapest first: most requests fail on one of these.
  if (methods !== undefined) tests.push(createMethodTest(toList(methods)))
  if (paths !== undefined) tests.push(createPathTest(toList(paths)))
  if (user_agent !== undefined) tests.push(createValueTest(user_agent, (ctx) => ctx.req.headers['user-agent']))
  for (const [name, wanted] of Object.entries(headers ?? {})) {
    const key = name.toLowerCase()
    tests.push(createValueTest(wanted, (ctx) => ctx.req.headers[key]))
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

function createPathTest(paths: readonly string[]): Predicate {
  const expressions = paths.map((pattern) => pathToRegexp(pattern).regexp)
  return (ctx) => {
    const { path: asked } = ctx
    return expressions.some((wanted) => wanted.test(asked))
  }
}

function createAddressTest(addresses: readonly string[]): Predicate {
  const wanted = new BlockList()
  for (const text of addresses) {
    const { address: ip, prefix, family } = readAddress(text) as Address
    if (prefix === undefined) wanted.addAddress(ip, family)
    else wanted.addSubnet(ip, prefix, family)
  }
  return (ctx) => {
    const { ip } = ctx
    const version = isIP(ip)
    return version !== 0 && wanted.check(ip, version === 4 ? 'ipv4' : 'ipv6')
  }
}

interface Address {
  readonly address: string
  readonly prefix: number | undefined
  readonly family: 'ipv4' | 'ipv6'
}

function readAddress(text: string): Address | undefined {
  const [, address = '', , prefix] = /^([^/]+)(\/(\d{1,3}))?$/.exec(text) ?? []
  const version = isIP(address)
  const bits = prefix === undefined ? undefined : Number(prefix)
  if (version === 0 || (bits !== undefined && bits > (version === 4 ? 32 : 128))) return undefined
  return { address, prefix: bits, family: version === 4 ? 'ipv4' : 'ipv6' }
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
  if ('present' in wanted) return (came) => (came !== undefined) === wanted.present
  const regex = new RegExp(wanted.regex)
  return (came) => came !== undefined && regex.test(came)
}

function toList<T>(given: T | T[]): T[] {
  return Array.isArray(given) ? given : [given]
}

function own<T>(values: Record<string, T>, key: string): T | undefined {
  return Object.hasOwn(values, key) ? values[key] : undefined
}
