import type { Difference, Finding as FoundInFile } from 'dynacode/tools'
import { z } from 'zod'
import { TIME } from './values.ts'

export type { Difference } from 'dynacode/tools'
/** The studio's documents have no files. */
export type Finding = Omit<FoundInFile, 'file'>

export const FINDING = z.object({
  rule: z.string(),
  severity: z.enum(['error', 'warning', 'note']),
  message: z.string(),
  plugin: z.string().nullable(),
  domain: z.string().nullable(),
  phase: z.string().nullable(),
  path: z.string(),
  line: z.int().nullable(),
  column: z.int().nullable(),
}) satisfies z.ZodType<Finding>

export const DIFFERENCE = z.object({
  kind: z.enum(['added', 'removed', 'changed']),
  domain: z.string().nullable(),
  plugin: z.string().nullable(),
  phase: z.string().nullable(),
  changes: z.array(z.string()),
  fields: z.array(z.object({ name: z.string(), before: z.string().nullable(), after: z.string().nullable() })),
  code: z.object({ before: z.string(), after: z.string() }).nullable(),
}) satisfies z.ZodType<Difference>

/**
 * How a version came about; `renew`: what is live was signed anew before its end; `step`, `stop`: a rollout got another share,
 * or none.
 */
export const VERSION_KINDS = ['publish', 'rollback', 'switch', 'import', 'renew', 'step', 'stop'] as const
export type VersionKind = (typeof VERSION_KINDS)[number]

export const VERSION = z.object({
  version: z.int(),
  kind: z.enum(VERSION_KINDS),
  message: z.string(),
  created_by: z.string().nullable(),
  created_at: TIME,
})
export type Version = z.output<typeof VERSION>

/** What is said of a large document: the first of many, errors first, and how many there are. */
export const REVIEWED = z.object({
  differences: z.array(DIFFERENCE),
  differences_total: z.int(),
  findings: z.array(FINDING),
  findings_total: z.int(),
  errors: z.int(),
})

/** What an import would change of what is live, which is the version `base`, and how much it is. */
export const PREVIEW = REVIEWED.extend({ base: z.int(), domains: z.int(), plugins: z.int() })
export type Preview = z.output<typeof PREVIEW>

/** How the folder in git and what is live stand to each other. */
export const GIT_STATE = z.object({
  commit: z.string().nullable(),
  version: z.int().nullable(),
  problem: z.string().nullable(),
  findings: z.array(FINDING),
  dirty: z.array(z.string()),
  push_problem: z.string().nullable(),
})
export type GitState = z.output<typeof GIT_STATE>
