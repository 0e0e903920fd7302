import { z } from 'zod'
import { TIME } from './values.ts'

export type Fields = Readonly<Record<string, unknown>>

export const DOMAIN = z.object({ id: z.int(), name: z.string(), position: z.int(), revision: z.int() })
export const LISTED_DOMAIN = DOMAIN.extend({ plugins: z.int() })
export type Domain = z.output<typeof LISTED_DOMAIN>

/** `fields`: as a document has it, without name and phase. */
export const PLUGIN = z.object({
  id: z.int(),
  domain_id: z.int(),
  name: z.string(),
  phase: z.string(),
  fields: z.record(z.string(), z.unknown()),
  position: z.int(),
  revision: z.int(),
  updated_at: TIME,
})
export const LISTED_PLUGIN = PLUGIN.extend({ domain: z.string() })
export type Plugin = z.output<typeof PLUGIN> & { readonly domain?: string }

/** What the draft says of the whole document. */
export const GENERAL = z.object({ fields: z.record(z.string(), z.unknown()), revision: z.int() })
export type General = z.output<typeof GENERAL>
