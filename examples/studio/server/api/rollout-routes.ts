import { z } from 'zod'
import { ROLLOUT, ROLLOUT_CHART } from '../../shared/rollouts.ts'
import type { Rollouts } from '../rollouts/rollouts.ts'
import { PUBLISHED, serveFirst } from './published.ts'
import { type Route, route } from './route.ts'
import { ID } from './schemas.ts'

const text = (longest: number) =>
  z
    .string()
    .max(longest)
    .refine((value) => !value.includes('\0'), 'expected no NUL')
const LIST = z.object({ rollouts: z.array(ROLLOUT) })
const ONE = z.object({ id: ID })

/**
 * Guarded rollouts in the whole fleet.
 *
 * @param published told of every new version
 */
export function rolloutRoutes(rollouts: Rollouts, published: () => Promise<void>): readonly Route[] {
  const serve = serveFirst(published)
  return [
    route({
      method: 'get',
      path: '/rollouts',
      summary: 'Guarded rollouts that processes report, added up over the fleet: those that run, then the latest',
      role: 'viewer',
      answer: LIST,
      handle: async () => ({ rollouts: await rollouts.list() }),
    }),
    route({
      method: 'get',
      path: '/rollouts/of',
      summary: 'The same of one plugin, the one that runs first, then the latest',
      role: 'viewer',
      query: z.object({ domain: text(1024), plugin: text(1024), phase: text(40) }),
      answer: LIST,
      handle: async ({ query: { domain, plugin, phase } }) => ({
        rollouts: await rollouts.of({ domain, name: plugin, phase }),
      }),
    }),
    route({
      method: 'get',
      path: '/rollouts/:id/chart',
      summary:
        'How both groups of a rollout did over the last hour, by minutes, or the last day, by quarters of an hour',
      role: 'viewer',
      params: ONE,
      query: z.object({ range: z.enum(['hour', 'day']).default('hour') }),
      answer: ROLLOUT_CHART,
      handle: ({ params, query }) => rollouts.chart(params.id, query.range),
    }),
    route({
      method: 'post',
      path: '/rollouts/:id/stop',
      is_urgent: true,
      summary: 'Stop a rollout everywhere: publish it with a share of 0',
      role: 'publisher',
      params: ONE,
      answer: PUBLISHED,
      status: 201,
      handle: ({ actor, params }) => serve(rollouts.stop(actor, params.id)),
    }),
    route({
      method: 'post',
      path: '/rollouts/:id/go',
      summary:
        'Publish the next step of a rollout now; the first one, if it was stopped; 100 %, if it has none. Not where a new version takes two persons',
      role: 'publisher',
      params: ONE,
      answer: PUBLISHED,
      status: 201,
      handle: ({ actor, params }) => serve(rollouts.go(actor, params.id)),
    }),
    route({
      method: 'post',
      path: '/rollouts/:id/pause',
      is_urgent: true,
      summary: 'Let the studio begin no further step of a rollout, or let it go on',
      role: 'publisher',
      params: ONE,
      body: z.object({ on: z.boolean() }),
      handle: ({ actor, params, body }) => rollouts.pause(actor, params.id, body.on),
    }),
  ]
}
