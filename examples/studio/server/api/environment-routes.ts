import { z } from 'zod'
import { ENVIRONMENT, PROMOTED } from '../../shared/environments.ts'
import { addEnvironment, listEnvironments, removeEnvironment } from '../environments/environments.ts'
import { promote } from '../environments/promote.ts'
import type { OutsideRules } from '../outside/exchange.ts'
import type { Press } from '../publishing/press.ts'
import { SEEN } from './published.ts'
import { type Route, route } from './route.ts'
import { ID, outsideUrl } from './schemas.ts'

const PLACE = z.object({ id: ID })

/** Other studios, and what is promoted to them. */
export function environmentRoutes(press: Press, rules: OutsideRules): readonly Route[] {
  const { db } = press
  return [
    route({
      method: 'get',
      path: '/environments',
      summary: 'Other studios to which versions are promoted, without their tokens',
      role: 'viewer',
      answer: z.array(ENVIRONMENT),
      handle: () => listEnvironments(db),
    }),
    route({
      method: 'post',
      path: '/environments',
      summary: 'Add another studio, with a token of it; the token is never shown again',
      role: 'publisher',
      body: z.object({
        name: z.string().trim().min(1, 'expected a name').max(60),
        url: outsideUrl(rules),
        // In a header.
        token: z
          .string()
          .trim()
          .regex(/^[\x21-\x7e]{1,500}$/, 'expected a token of the other studio'),
      }),
      answer: ENVIRONMENT,
      status: 201,
      handle: ({ actor, body }) => addEnvironment(db, actor, body, rules),
    }),
    route({
      method: 'delete',
      path: '/environments/:id',
      summary: 'Remove another studio, and its token',
      role: 'publisher',
      params: PLACE,
      handle: ({ actor, params }) => removeEnvironment(db, actor, params.id),
    }),
    route({
      method: 'post',
      path: '/environments/:id/promotions',
      summary: 'Promote a version to another studio, where it is proposed, or published if the token may',
      role: 'publisher',
      params: PLACE,
      body: z.object({
        version: z
          .int()
          .positive()
          .max(2 ** 31 - 1),
        message: SEEN.shape.message,
      }),
      answer: PROMOTED,
      status: 201,
      handle: ({ actor, params, body }) => promote(press, actor, params.id, body, rules),
    }),
  ]
}
