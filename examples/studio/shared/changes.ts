import { z } from 'zod'
import { REVIEWED } from './review.ts'
import { TIME } from './values.ts'

export type Fields = Readonly<Record<string, unknown>>
const FIELDS = z.record(z.string(), z.unknown())

/** What a plugin is known by. */
export const PLUGIN_KEY = z.object({ domain: z.string(), name: z.string(), phase: z.string() })
export type PluginKey = z.output<typeof PLUGIN_KEY>

export const CHANGE_KINDS = ['added', 'changed', 'removed'] as const
export type ChangeKind = (typeof CHANGE_KINDS)[number]
const CHANGE = z.enum(CHANGE_KINDS).nullable()

/** What is live of a plugin; `version`, `at`, `by`: which version made it what it is, null where that is not known. */
export const LIVE_STATE = z.object({
  enabled: z.boolean(),
  mode: z.enum(['live', 'shadow']),
  percent: z.number().nullable(),
  version: z.int().nullable(),
  at: TIME.nullable(),
  by: z.string().nullable(),
})
export type LiveState = z.output<typeof LIVE_STATE>

/** A field that was changed here and in what is live; `field` is empty where one of the two has removed the whole. */
export const CONFLICT = z.object({
  field: z.string(),
  base: z.unknown().optional(),
  live: z.unknown().optional(),
  mine: z.unknown().optional(),
})
export type Conflict = z.output<typeof CONFLICT>

/** A domain as a change set has it. */
export const DOMAIN = z.object({ name: z.string(), plugins: z.int(), change: CHANGE })
export type Domain = z.output<typeof DOMAIN>

/** A plugin in a list: its `fields` are without code and parameters; `change`: what the change set does to it. */
export const LISTED_PLUGIN = PLUGIN_KEY.extend({
  fields: FIELDS,
  change: CHANGE,
  has_conflict: z.boolean(),
  live: LIVE_STATE.nullable(),
})
export type ListedPlugin = z.output<typeof LISTED_PLUGIN>

/** Plugins whose time is up: how many, and when the last of them ended. */
export const EXPIRED = z.object({ total: z.int(), last_at: TIME.nullable() })
export type Expired = z.output<typeof EXPIRED>

const SET_NAME = z.object({ id: z.int(), name: z.string(), created_by: z.string() })

/**
 * A plugin as a change set has it; without one, as it is live. `fields`: as a document has it, without name and phase.
 * `live_fields`, `base_fields`: the same as it is live, and as it was when the change was begun. `others`: open change sets
 * that change it, too.
 */
export const PLUGIN = PLUGIN_KEY.extend({
  set: z.int().nullable(),
  fields: FIELDS,
  change: CHANGE,
  conflicts: z.array(CONFLICT),
  revision: z.string(),
  live: LIVE_STATE.nullable(),
  live_fields: FIELDS.nullable(),
  base_fields: FIELDS.nullable(),
  others: z.array(SET_NAME),
})
export type Plugin = z.output<typeof PLUGIN>

/** What a change set says of the whole document. */
export const GENERAL = z.object({
  set: z.int().nullable(),
  fields: FIELDS,
  revision: z.string(),
  conflicts: z.array(CONFLICT),
})
export type General = z.output<typeof GENERAL>

export const SET_STATES = ['open', 'published', 'discarded'] as const
export type SetState = (typeof SET_STATES)[number]

/** `is_current`: whether the change set is still what was proposed. */
export const PROPOSAL = z.object({
  message: z.string(),
  by: z.string(),
  by_id: z.int(),
  at: TIME,
  is_current: z.boolean(),
})

/**
 * Changes that go live together. `revision` grows with every change of it; `version`: as which it was published;
 * `rolled_back_by`: the version that took it back.
 */
export const CHANGE_SET = SET_NAME.extend({
  created_by_id: z.int().nullable(),
  created_at: TIME,
  updated_at: TIME,
  state: z.enum(SET_STATES),
  revision: z.int(),
  edits: z.int(),
  proposal: PROPOSAL.nullable(),
  version: z.int().nullable(),
  rolled_back_by: z.int().nullable(),
  comments: z.int(),
})
export type ChangeSet = z.output<typeof CHANGE_SET>

export const EDIT_KINDS = ['general', 'domain', 'order', 'plugin'] as const
export type EditKind = (typeof EDIT_KINDS)[number]

/** One change of a change set: of a plugin, a domain, an order, or the whole document. */
export const EDIT = PLUGIN_KEY.extend({
  kind: z.enum(EDIT_KINDS),
  change: z.enum(CHANGE_KINDS),
  conflicts: z.array(CONFLICT),
  updated_by: z.string().nullable(),
  updated_at: TIME,
})
export type Edit = z.output<typeof EDIT>

/** A change set beside what is live; `base`: the version that is live; of changes, differences and findings no more than 200. */
export const REVIEWED_SET = REVIEWED.extend({
  base: z.int(),
  revision: z.int(),
  changes: z.array(EDIT),
  changes_total: z.int(),
  conflicts: z.int(),
})
export type ReviewedSet = z.output<typeof REVIEWED_SET>

export const COMMENT = z.object({ id: z.int(), by: z.string(), at: TIME, text: z.string() })
export type Comment = z.output<typeof COMMENT>
