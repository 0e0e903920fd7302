import { z } from 'zod'
import { ACTED, ACTION } from '../../shared/actions.ts'
import { act, GIVEN_ACTION, listActions } from '../actions/act.ts'
import { createRecipes } from '../actions/recipes.ts'
import { addTemplate, removeTemplate } from '../actions/templates.ts'
import { Problem } from '../problem.ts'
import type { Press } from '../publishing/press.ts'
import { type Route, route } from './route.ts'
import { ID } from './schemas.ts'

const NAME = z.string().trim().min(1).max(1024)

/** What is done often and in a hurry: forms that make a plugin which ends by itself. @param published as versionRoutes */
export function actionRoutes(press: Press, published: () => Promise<void>): readonly Route[] {
  const { db, documents, reviewer } = press
  const recipes = createRecipes()
  return [
    route({
      method: 'get',
      path: '/actions',
      summary: 'Actions: what each asks for; those of the studio, then templates of the team',
      role: 'viewer',
      answer: z.array(ACTION),
      handle: () => listActions(press, recipes),
    }),
    route({
      method: 'post',
      path: '/actions/:kind',
      is_urgent: true,
      summary:
        'Make a plugin of what was filled in, and publish it with what is live; where someone else has to agree, it is proposed',
      role: 'author',
      params: z.object({ kind: z.string().max(60) }),
      body: GIVEN_ACTION,
      answer: ACTED,
      status: 201,
      async handle({ actor, params, body }) {
        const acted = await act(press, recipes, actor, params.kind, body)
        if (acted.version !== null) await published()
        return acted
      },
    }),
    route({
      method: 'post',
      path: '/action-templates',
      summary: 'Keep a plugin that is live as a template: its parameters are filled in anew each time',
      role: 'publisher',
      body: z.object({
        title: z.string().trim().min(1, 'expected a title').max(60),
        domain: NAME,
        name: NAME,
        phase: z.string().max(40),
      }),
      answer: z.object({ id: z.int() }),
      status: 201,
      async handle({ actor, body: { title, ...place } }) {
        const { document } = await documents.live()
        const plugin = await reviewer.findPlaced(document, place)
        if (plugin === undefined) throw new Problem(404, 'nothing live is called that')
        return { id: await addTemplate(db, actor, title, plugin) }
      },
    }),
    route({
      method: 'delete',
      path: '/action-templates/:id',
      summary: 'Remove a template; plugins that were made of it stay',
      role: 'publisher',
      params: z.object({ id: ID }),
      handle: ({ actor, params }) => removeTemplate(db, actor, params.id),
    }),
  ]
}
