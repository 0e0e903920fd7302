import { z } from 'zod'
import { TIME } from './values.ts'

/** What webhooks report. */
export const HOOK_EVENTS = [
  'published',
  'proposed',
  'killed',
  'refused',
  'breaker_open',
  'rollout_stopped',
  'stale',
] as const
export type HookEventType = (typeof HOOK_EVENTS)[number]

/** Each in a few words, as the page and the documentation have it. */
export const HOOK_EVENT_TEXTS: Readonly<Record<HookEventType, string>> = Object.freeze({
  published: 'a version goes live',
  proposed: 'someone proposes a change',
  killed: 'something is switched off',
  refused: 'a process refuses a plugin or a document',
  breaker_open: 'a plugin fails so often that its breaker opens',
  rollout_stopped: 'a guarded rollout stops, in a process or in the whole fleet',
  stale: 'a process serves a document whose time is up',
})

export const HOOK_FORMATS = ['json', 'slack', 'teams', 'discord'] as const
export type HookFormat = (typeof HOOK_FORMATS)[number]

/** Of `url`, the host alone: the address of a chat's webhook is a secret by itself, and is never shown again. */
export const WEBHOOK = z.object({
  id: z.int(),
  name: z.string(),
  host: z.string(),
  format: z.enum(HOOK_FORMATS),
  events: z.array(z.enum(HOOK_EVENTS)),
  active: z.boolean(),
  /** Why the studio has paused it by itself. */
  paused_because: z.string().nullable(),
  waiting: z.int(),
  created_at: TIME,
})
export type Webhook = z.output<typeof WEBHOOK>

export const DELIVERY = z.object({
  id: z.int(),
  event: z.enum([...HOOK_EVENTS, 'test']),
  text: z.string(),
  state: z.enum(['waiting', 'delivered', 'failed', 'dropped']),
  attempts: z.int(),
  status: z.int().nullable(),
  error: z.string().nullable(),
  created_at: TIME,
  due_at: TIME,
  finished_at: TIME.nullable(),
})
export type Delivery = z.output<typeof DELIVERY>
