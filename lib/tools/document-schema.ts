import * as z from 'zod'
import { domainSchema, frameSchema, pluginSchema, variantSchema } from '../document.ts'

const file = z.string().min(1).nullish()
const plugin = pluginSchema.extend({
  file,
  variants: z
    .array(variantSchema.extend({ code: z.string().nullish(), file }))
    .min(1)
    .nullish(),
})

/** All of a document as its author writes it: in a folder, plugins may name files in place of code. */
export const documentSchema = frameSchema.extend({
  domains: z.array(domainSchema.extend({ plugins: z.array(z.union([z.number(), z.string(), plugin])) })),
  plugins: z.array(plugin).nullish(),
})
