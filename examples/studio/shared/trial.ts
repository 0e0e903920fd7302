import type { Ran } from 'dynacode/tools'
import { z } from 'zod'

export type { Ran } from 'dynacode/tools'

const TRACE = z.object({
  plugin: z.string(),
  domain: z.string(),
  phase: z.enum(['rewrite', 'access', 'content', 'balancer', 'header_filter', 'body_filter', 'log']).nullable(),
  outcome: z.enum(['ran', 'failed', 'shadow', 'skipped', 'refused']),
  reason: z.string().nullable(),
  changes: z.array(z.string()),
  calls: z.number(),
  duration_ms: z.number().nullable(),
})
/** What comes of a request. The code that is tried can print anything in its place. */
export const RAN = z.object({
  request: z.object({ method: z.string(), url: z.string() }),
  plugins: z.array(TRACE),
  response: z.object({
    status: z.int(),
    message: z.string(),
    headers: z.record(z.string(), z.union([z.string(), z.array(z.string())])),
    body: z.string(),
  }),
  duration_ms: z.number(),
}) satisfies z.ZodType<Ran>
