import { z } from 'zod'

/** What is live, in short; `publishers`: how many accounts may publish; `waiting`: how many change sets are proposed. */
export const LIVE = z.object({
  version: z.int(),
  enabled: z.boolean(),
  plugins: z.int(),
  two_persons: z.boolean(),
  publishers: z.int(),
  waiting: z.int(),
})
export type Live = z.output<typeof LIVE>

/** A domain that is live; `id`: its place in the document, from 1; `enabled`: how many of its plugins are switched on. */
export const LIVE_DOMAIN = z.object({ id: z.int(), name: z.string(), plugins: z.int(), enabled: z.int() })
export type LiveDomain = z.output<typeof LIVE_DOMAIN>

/**
 * A plugin that is live; `id`: its place among all, from 1; `percent`: its share of the traffic, where it has one; `owner` and
 * `runbook`: its fields `x-owner` and `x-runbook`, who answers for it, and the address of what to do when it fails.
 */
export const LIVE_PLUGIN = z.object({
  id: z.int(),
  domain: z.string(),
  name: z.string(),
  phase: z.string(),
  enabled: z.boolean(),
  mode: z.enum(['live', 'shadow']),
  percent: z.number().nullable(),
  owner: z.string().nullable(),
  runbook: z.string().nullable(),
})
export type LivePlugin = z.output<typeof LIVE_PLUGIN>
