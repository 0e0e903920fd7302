import type { Report as Sent } from 'dynacode'
import { z } from 'zod'

/** What a report may count to: thousands of instances together stay exact in a number, whatever each of them says. */
const COUNT = z.int().min(0).max(1_000_000_000_000)
const counted = COUNT.default(0)
/** In milliseconds since 1970, or of a time that something took. */
const MS = z.number().min(0).max(8_640_000_000_000_000)
const text = (longest: number) =>
  z
    .string()
    .max(longest)
    .refine((value) => !value.includes('\0'), 'expected no NUL')
const NAME = text(1024)
const MESSAGE = text(4000)
const VERSION = z.union([z.int().min(0), text(200)])
const COUNTS = z.record(text(100), COUNT).default({})
const many = <T extends z.ZodType>(item: T) => z.array(item).max(1000).default([])

const ERROR = z.object({ code: text(100).optional(), message: MESSAGE, path: text(1024).nullish() }).nullish()

const REFUSED = z.object({
  domain: NAME.nullable().default(null),
  name: NAME.nullable().default(null),
  phase: text(40).nullable().default(null),
  code: text(100).nullable().default(null),
  message: MESSAGE,
  line: COUNT.nullable().default(null),
  kept_last_good: z.boolean().default(false),
})

const NOTABLE = z.object({
  domain: NAME,
  name: NAME,
  phase: text(40).nullable().default(null),
  state: text(40),
  breaker: text(40).default('closed'),
  error: MESSAGE.nullable().default(null),
})

const LAST_ERROR = z.object({
  at: MS,
  code: text(100).nullable().default(null),
  message: MESSAGE,
  line: COUNT.nullable().default(null),
  column: COUNT.nullable().default(null),
  outcome: z.enum(['open', 'closed']),
})

const COUNTERS = z.object({
  domain: NAME,
  name: NAME,
  phase: text(40),
  calls: counted,
  errors: counted,
  errors_closed: counted,
  exits: counted,
  shadow_runs: counted,
  shadow_exits: counted,
  shadow_changes: counted,
  shadow_errors: counted,
  sync_ms: MS.default(0),
  p50_ms: MS.nullable().default(null),
  p99_ms: MS.nullable().default(null),
  buckets: z.array(COUNT).max(32).default([]),
  last_error: LAST_ERROR.nullable().default(null),
})

const GROUP = { requests: counted, responses: counted, status_5xx: counted, slow_responses: counted }
/** A guarded rollout: the requests that it includes, and those that it leaves out; `stopped`: the condition that stopped it. */
const GUARDED = z.object({
  domain: NAME,
  name: NAME,
  phase: text(40).nullable().default(null),
  sha1: text(100).default(''),
  stopped: z
    .object({
      at: MS.optional(),
      condition: text(200),
      limit: z.number().min(0).max(1e9).default(0),
      above_control: z.boolean().default(false),
    })
    .nullable()
    .default(null),
  inside: z
    .object({ runs: counted, errors: counted, exits: counted, slow_runs: counted, ...GROUP })
    .nullable()
    .default(null),
  control: z.object(GROUP).nullable().default(null),
})

/**
 * A report, whole (docs/reporting.md of dynacode). Instances of other versions may leave out what has a default here, and say
 * more: that is not kept. What comes out is all that pages get to see.
 */
export const REPORT = z.object({
  format: z.literal(1),
  instance: text(200).min(1),
  sequence: z.int().min(0),
  name: text(200).nullish(),
  host: text(300),
  pid: z.int().min(0).max(2_147_483_647),
  dynacode: text(100).optional(),
  node: text(100).optional(),
  started_at: MS.optional(),
  sent_at: MS.optional(),
  interval: z.number().min(0).max(86_400).optional(),
  closing: z.boolean(),
  disabled: z.boolean().optional(),
  stale: z.boolean().optional(),
  active: z
    .object({
      version: VERSION,
      since: MS.default(0),
      from: text(40).default('network'),
      enabled: z.boolean().default(true),
      validated_at: MS.nullish(),
    })
    .nullish(),
  attempted: z
    .object({
      version: VERSION,
      verdict: z.enum(['ack', 'partial', 'nack']),
      error: ERROR,
      refused: many(REFUSED),
      refused_left_out: counted,
    })
    .nullish(),
  last_refresh: z.object({ at: MS.optional(), result: text(100), error: ERROR }).nullish(),
  plugins: z
    .object({ total: counted, states: COUNTS, breakers: COUNTS, notable: many(NOTABLE), notable_left_out: counted })
    .optional(),
  rollouts: z.object({ guarded: many(GUARDED), left_out: counted }).optional(),
  canary: z
    .object({
      percent: z.number().min(0).max(100),
      stopped: z.object({ condition: text(40), limit: z.number(), above_control: z.boolean(), at: MS }).nullable(),
    })
    .nullish(),
  counters: z
    .object({
      events: COUNTS,
      refreshes: COUNTS,
      errors: COUNTS,
      bounds_ms: z.array(MS).max(31).default([]),
      plugins: many(COUNTERS),
      plugins_left_out: counted,
    })
    .optional(),
})

/** Names every field that is read here, and that dynacode does not send. */
type Misread<Read, Given> = Given extends readonly (infer G)[]
  ? Read extends readonly (infer R)[]
    ? Misread<R, G>
    : never
  : Given extends object
    ? string extends keyof Read
      ? never
      : {
          [K in keyof Read]-?: K extends keyof Given ? Misread<NonNullable<Read[K]>, NonNullable<Given[K]>> : K
        }[keyof Read]
    : never
type Mutable<T> = T extends object ? { -readonly [K in keyof T]: Mutable<T[K]> } : T
/** Neither compiles once dynacode calls something by another name, or makes another thing of it. */
export type ReportIsRead = [
  Expect<[Misread<z.input<typeof REPORT>, Sent>] extends [never] ? true : false>,
  Expect<Mutable<Sent> extends z.input<typeof REPORT> ? true : false>,
]
type Expect<T extends true> = T
