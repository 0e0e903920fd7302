import { z } from 'zod'

/** A field of a form; the value is text whatever its type. */
const INPUT = z.object({
  name: z.string(),
  label: z.string(),
  hint: z.string().nullable(),
  placeholder: z.string().nullable(),
  type: z.enum(['text', 'number', 'address', 'path']),
  value: z.string(),
})
export type ActionInput = z.output<typeof INPUT>

/** Something that is done often, in a hurry: a form that makes a plugin. `template`: one of the team's own, by its number. */
export const ACTION = z.object({
  kind: z.string(),
  title: z.string(),
  what: z.string(),
  /** What the button says. */
  action: z.string(),
  inputs: z.array(INPUT),
  template: z.int().nullable(),
})
export type Action = z.output<typeof ACTION>

/** `version`: it is live; `set`: it waits in this change set until a publisher agrees. */
export const ACTED = z.object({ version: z.int().nullable(), set: z.int().nullable() })
export type Acted = z.output<typeof ACTED>

/** How long it may last, in minutes. */
export const LONGEST_MINUTES = 30 * 24 * 60
