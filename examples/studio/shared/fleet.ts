import { z } from 'zod'
import type { REPORT } from './report.ts'
import { TIME } from './values.ts'

/** What an instance said last, as it was taken in. */
export type Report = z.output<typeof REPORT>

export const INSTANCE = z.object({
  id: z.string(),
  host: z.string(),
  pid: z.int(),
  received_at: TIME,
  report: z.record(z.string(), z.unknown()),
})
export type Instance = z.output<typeof INSTANCE> & { readonly report: Report }

const COUNT = z.int().min(0)
/** What shadow runs would have done: ended the request, changed something, failed. One run may be several of these. */
const SHADOW_COUNTS = z.object({ runs: COUNT, exits: COUNT, changes: COUNT, errors: COUNT })
export type ShadowCounts = z.output<typeof SHADOW_COUNTS>

/** What a plugin in shadow mode would have done, in all instances together and in each. */
export const SHADOW_RUNS = SHADOW_COUNTS.extend({
  domain: z.string(),
  plugin: z.string(),
  phase: z.string(),
  instances: z.array(SHADOW_COUNTS.extend({ id: z.string(), host: z.string(), pid: z.int(), received_at: TIME })),
})
export type ShadowRuns = z.output<typeof SHADOW_RUNS>
