import { z } from 'zod'
import { DIFFERENCE, FINDING, VERSION } from '../../shared/review.ts'
import type { Press } from '../publishing/press.ts'
import { rollBack } from '../publishing/publish-set.ts'
import { throwSwitch } from '../publishing/switches.ts'
import { listVersions } from '../publishing/versions.ts'
import { AFTER, countAll, PUBLISHED, serveFirst } from './published.ts'
import { type Route, route } from './route.ts'
import { ID, NUMBER, PAGE } from './schemas.ts'

/**
 * Versions, what is different between them, and the way back.
 *
 * @param published told of every new version
 */
export function versionRoutes(press: Press, published: () => Promise<void>): readonly Route[] {
  const { db, documents, reviewer } = press
  const serve = serveFirst(published)

  return [
    route({
      method: 'post',
      path: '/check',
      summary: 'Check a document that was not saved, such as while someone types; at most 200 findings, errors first',
      role: 'viewer',
      body: z.object({ document: z.looseObject({ domains: z.array(z.unknown()) }) }),
      answer: z.object({ findings: z.array(FINDING), findings_total: z.int() }),
      async handle({ body }) {
        const { items, total } = await reviewer.check(JSON.stringify(body.document))
        return { findings: items, findings_total: total }
      },
    }),
    route({
      method: 'get',
      path: '/versions',
      summary: 'Versions, the newest first',
      role: 'viewer',
      query: PAGE.pick({ limit: true }).extend({ before: ID.optional() }),
      answer: z.array(VERSION),
      handle: ({ query }) => listVersions(db, query.limit, query.before),
    }),
    route({
      method: 'get',
      path: '/versions/:version',
      summary: 'The document of a version',
      role: 'viewer',
      params: z.object({ version: NUMBER }),
      answer: z.unknown(),
      async handle({ ctx, params }) {
        // As it is: it may be large.
        ctx.body = await documents.textOf(params.version)
        ctx.type = 'application/json'
      },
    }),
    route({
      method: 'get',
      path: '/versions/:before/changes/:after',
      summary: 'What is different between two versions; 200 at a time, the number of all in Total-Count',
      role: 'viewer',
      params: z.object({ before: NUMBER, after: NUMBER }),
      query: AFTER,
      answer: z.array(DIFFERENCE),
      async handle({ ctx, params, query }) {
        const [before, after] = [await documents.textOf(params.before), await documents.textOf(params.after)]
        return countAll(ctx, await reviewer.compare(before, after, query.from))
      },
    }),
    route({
      method: 'post',
      path: '/versions/:version/rollback',
      is_urgent: true,
      summary: 'Roll back: publish an earlier version again',
      role: 'publisher',
      params: z.object({ version: NUMBER }),
      answer: PUBLISHED,
      status: 201,
      handle: ({ actor, params }) => serve(rollBack(press, actor, params.version)),
    }),
    route({
      method: 'post',
      path: '/switch',
      is_urgent: true,
      summary: 'Switch off, or on again, what is live: a plugin, a domain, or everything',
      role: 'publisher',
      body: z
        .object({ domain: z.string().optional(), plugin: z.string().optional(), on: z.boolean() })
        .refine(({ domain, plugin }) => plugin === undefined || domain !== undefined, {
          path: ['domain'],
          message: 'expected the domain of the plugin',
        }),
      answer: PUBLISHED,
      status: 201,
      handle: ({ actor, body }) => serve(throwSwitch(press, actor, body)),
    }),
  ]
}
