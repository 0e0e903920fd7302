import * as z from 'zod'
import type { DocumentError } from './errors.ts'
import { type Condition, conditionSchema } from './matching/condition.ts'
import type { HostPattern } from './matching/host-pattern.ts'
import { type Rollout, rolloutSchema } from './matching/rollout.ts'
import type { Scope } from './matching/scope.ts'
import { LONGEST_TIMER_MS } from './time/clock.ts'

/** The phases of a request, in the order in which they run. */
export const PHASES = Object.freeze([
  'rewrite',
  'access',
  'content',
  'balancer',
  'header_filter',
  'body_filter',
  'log',
] as const)
/** A phase of the request. */
export type Phase = (typeof PHASES)[number]

/** What a request gets if a plugin fails: it goes on without the plugin (`open`), or gets 503 (`closed`). */
export type FailurePolicy = 'open' | 'closed'

/**
 * How a plugin is stopped that takes too long: `on`: by checks inside its code; `strict`: also by V8, in code without checks;
 * `off`: not at all.
 */
export type GuardMode = 'on' | 'strict' | 'off'

/** Longest name of a plugin or domain, in characters. */
export const MAX_NAME_LENGTH = 1024

/** A version of a plugin's code that gets a share of the traffic. */
export interface Variant {
  name: string
  code: string
  /** Share of the traffic, from 0 to 100. */
  percent: number
}

/** A plugin as a document has it. */
export interface PluginFields {
  id?: string | number | null | undefined
  name: string
  phase: Phase
  code?: string | null | undefined
  /** Several versions of the code that share the traffic, instead of `code`. */
  variants?: Variant[] | null | undefined
  enabled?: boolean | null | undefined
  mode?: 'live' | 'shadow' | null | undefined
  shadow_allows?: ('fetch' | 'store')[] | null | undefined
  when?: Condition | null | undefined
  rollout?: Rollout | null | undefined
  /** The name of the unit that it belongs to: the plugins of a domain that change together. */
  unit?: string | null | undefined
  starts_at?: string | null | undefined
  expires_at?: string | null | undefined
  params?: Record<string, unknown> | null | undefined
  priority?: number | null | undefined
  on_failure?: FailurePolicy | null | undefined
  guard?: GuardMode | null | undefined
  budget_ms?: number | null | undefined
  timeout_ms?: number | null | undefined
}

const name = z.string().min(1).max(MAX_NAME_LENGTH)
/** Larger numbers are not told from their neighbours once JSON was read: a reference would run another plugin's code. */
const idNumber = z.number().min(Number.MIN_SAFE_INTEGER).max(Number.MAX_SAFE_INTEGER)
const id = z.union([z.string().min(1).max(MAX_NAME_LENGTH), idNumber])
const failurePolicy = z.enum(['open', 'closed'])
/** A time that Node's timers can wait for. */
const milliseconds = z.number().positive().max(LONGEST_TIMER_MS)
const params = z.record(z.string(), z.unknown())
const time = z.iso.datetime({ offset: true, error: 'an ISO 8601 time with its zone, such as "2030-01-31T12:00:00Z"' })
/** @internal */
export const variantSchema = z.strictObject({ name, code: z.string(), percent: z.number().min(0).max(100) })

/**
 * The fields of a plugin, wherever it stands. Unknown fields are dropped; misspelled ones were refused before.
 *
 * @internal
 */
export const pluginSchema = z.object({
  id: id.nullish(),
  name,
  phase: z.enum(PHASES),
  code: z.string().nullish(),
  variants: z.array(variantSchema).min(1).nullish(),
  enabled: z.boolean().nullish(),
  mode: z.enum(['live', 'shadow']).nullish(),
  shadow_allows: z.array(z.enum(['fetch', 'store'])).nullish(),
  when: conditionSchema.nullish(),
  rollout: rolloutSchema.nullish(),
  unit: name.nullish(),
  starts_at: time.nullish(),
  expires_at: time.nullish(),
  params: params.nullish(),
  priority: z.number().nullish(),
  on_failure: failurePolicy.nullish(),
  guard: z.enum(['on', 'strict', 'off']).nullish(),
  budget_ms: milliseconds.nullish(),
  timeout_ms: milliseconds.nullish(),
}) satisfies z.ZodType<PluginFields>
/**
 * What a reference may say beside the id; it overrides the plugin's own.
 *
 * @internal
 */
export const referenceSchema = pluginSchema.omit({ code: true, variants: true }).partial().extend({ id })

/** The part of the document that concerns all of it. */
const generalSchema = z.object({
  status: z.unknown().optional(),
  skip_domains: z.array(z.unknown()).nullish(),
  version: z.union([z.number(), z.string()]).nullish().catch(undefined),
  expires: time.nullish(),
  allow_removal: z.boolean().nullish(),
})
/**
 * What must hold for a domain to be told from the others.
 *
 * @internal
 */
export const domainSchema = z.object({ name: z.string().min(1), plugins: z.unknown().optional() })
/**
 * What must hold for any of the document to be used.
 *
 * @internal
 */
export const frameSchema = z.object({
  /** For editors: where the JSON Schema of documents is. */
  $schema: z.unknown().optional(),
  general: generalSchema.nullish(),
  domains: z.array(domainSchema),
  plugins: z.array(z.unknown()).nullish(),
})

/** Plugins of one domain that change together or not at all. Frozen. */
export interface Unit {
  readonly name: string
  /** How many plugins it has that are not switched off. */
  readonly size: number
}

/** A plugin as it applies to one domain: references are resolved, defaults filled in. Frozen. */
export interface PluginSpec {
  readonly domain: string
  readonly name: string
  readonly id: string | number | undefined
  readonly phase: Phase
  readonly code: string
  readonly params: Readonly<Record<string, unknown>>
  readonly priority: number
  readonly on_failure: FailurePolicy
  readonly guard: GuardMode
  /** How long it may keep the event loop at a stretch, in milliseconds. */
  readonly budget_ms: number
  /** How long it may take in all, in milliseconds. */
  readonly timeout_ms: number
  readonly scope: Scope
  /** Whether it only shows what it would do, and does nothing. */
  readonly shadow: boolean
  /** What a shadow run may use all the same, though it cannot be undone. */
  readonly shadow_allows: readonly ('fetch' | 'store')[]
  readonly unit: Unit | undefined
  /** Where it stands in the document. */
  readonly path: string
}

/** A plugin that can be told but not used: what is known of it, and what is wrong. */
export interface RefusedPlugin {
  readonly domain: string
  readonly name: string | undefined
  readonly id: string | number | undefined
  readonly phase: Phase | undefined
  readonly on_failure: FailurePolicy
  readonly scope: Pick<Scope, 'enabled' | 'starts_at' | 'expires_at'>
  readonly shadow: boolean
  readonly unit: Pick<Unit, 'name'> | undefined
  readonly error: DocumentError
}

/** One domain of the document. */
export interface Domain {
  readonly name: string
  readonly pattern: HostPattern
  readonly plugins: readonly (PluginSpec | RefusedPlugin)[]
}

/** A domain that is refused as a whole; its plugins stay as they were. */
export interface RefusedDomain {
  readonly name: string
  readonly error: DocumentError
}

/** A document that was read. Frozen. */
export interface Document {
  readonly enabled: boolean
  readonly version: number | string | undefined
  /** When it says that it ends, in milliseconds since 1970. */
  readonly expires: number | undefined
  /** Whether it means to drop as many plugins as it does. */
  readonly allow_removal: boolean
  readonly skip: readonly HostPattern[]
  readonly domains: readonly (Domain | RefusedDomain)[]
  /** Faults that belong to no domain's plugin: entries of `skip_domains`, shared plugins. */
  readonly faults: readonly DocumentError[]
}
