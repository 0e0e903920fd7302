import { z } from 'zod'
import { TIME } from './values.ts'

/** Another studio, to which versions are promoted; its token is never shown again. */
export const ENVIRONMENT = z.object({ id: z.int(), name: z.string(), url: z.string(), created_at: TIME })
export type Environment = z.output<typeof ENVIRONMENT>

/** What became of it there: `version`: it is live; `proposal`: it waits for somebody who agrees, at `url`. */
export const PROMOTED = z.object({ version: z.int().nullable(), proposal: z.int().nullable(), url: z.string() })
export type Promoted = z.output<typeof PROMOTED>
