import { z } from 'zod'
import { type Acted, type Action, LONGEST_MINUTES } from '../../shared/actions.ts'
import { readValue } from '../api/read-value.ts'
import { type Actor, includesRole } from '../auth/actor.ts'
import { Problem } from '../problem.ts'
import type { Press } from '../publishing/press.ts'
import type { PlacedPlugin } from './place-plugin.ts'
import type { MadePlugin, Recipe } from './recipes.ts'
import { releasePlaced } from './release.ts'
import { describeTemplate, fillTemplate, findTemplate, listTemplates } from './templates.ts'

/** What is filled in, whatever the action. */
export const GIVEN_ACTION = z.object({
  domain: z.string().trim().min(1, 'expected the name of a domain, or *').max(1024),
  minutes: z
    .number('expected a number of minutes')
    .int('expected a whole number of minutes')
    .min(1, 'expected at least a minute')
    .max(LONGEST_MINUTES, `expected at most ${LONGEST_MINUTES} minutes: 30 days`),
  values: z.record(z.string().max(100), z.string().max(10_000)).default({}),
})
export type GivenAction = z.output<typeof GIVEN_ACTION>

/** Every action: those that the studio comes with, then the team's own. */
export async function listActions({ db }: Press, recipes: readonly Recipe[]): Promise<readonly Action[]> {
  const own = recipes.map(({ schema: _, make: __, ...rest }) => ({ ...rest, template: null }))
  return [...own, ...(await listTemplates(db)).map(describeTemplate)]
}

/**
 * Makes a plugin of what was filled in, and publishes it with what is live: nothing else goes live by it. Where somebody else
 * has to agree, it is proposed.
 *
 * @throws Problem as publishing does, and that names the fields
 */
export async function act(
  press: Press,
  recipes: readonly Recipe[],
  actor: Actor,
  kind: string,
  given: GivenAction,
  now = Date.now(),
): Promise<Acted> {
  const made = await make(press, recipes, kind, given)
  const expires_at = new Date(now + given.minutes * 60_000).toISOString()
  const plugin: PlacedPlugin = { ...made, domain: given.domain, fields: { ...made.fields, expires_at } }
  const where = given.domain === '*' ? 'all hosts' : given.domain
  const message = `${made.name} for ${where} until ${expires_at.slice(0, 16).replace('T', ' ')} UTC`
  const proposes = press.rules.two_persons || !includesRole(actor.role, 'publisher')
  return releasePlaced(press, actor, plugin, message, proposes)
}

async function make({ db }: Press, recipes: readonly Recipe[], kind: string, given: GivenAction): Promise<MadePlugin> {
  const [, template] = /^template-(\d{1,9})$/.exec(kind) ?? []
  if (template !== undefined) return fillTemplate(await findTemplate(db, Number(template)), given.values)
  const recipe = recipes.find((each) => each.kind === kind)
  if (recipe === undefined) throw new Problem(404, 'there is no such action')
  const { values } = readValue(z.object({ values: recipe.schema }), { values: given.values }, 'the request')
  return recipe.make(values)
}
