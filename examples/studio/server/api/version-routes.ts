import type { Context } from 'koa'
import { z } from 'zod'
import { AUDIT_ENTRY } from '../../shared/people.ts'
import { DIFFERENCE, DRAFT, FINDING, PROPOSAL, VERSION } from '../../shared/review.ts'
import {
  approveProposal,
  closeProposal,
  compareProposal,
  listProposals,
  proposeDraft,
} from '../publishing/proposals.ts'
import { type Press, publishDraft, rollBack } from '../publishing/publish.ts'
import { throwSwitch } from '../publishing/switches.ts'
import { listVersions, type Version } from '../publishing/versions.ts'
import type { Slice } from '../review/tasks.ts'
import { listAudit } from '../store/audit.ts'
import { type Route, route } from './route.ts'
import { GIVEN_NUMBER, ID, NUMBER, PAGE } from './schemas.ts'

const MESSAGE = z.string().trim().min(1, 'say what is new').max(500)
const PUBLISHED = z.object({ version: z.int() })

const AFTER = z.object({ from: NUMBER.default(0) })
const DIFFERENCES = z.object({ items: z.array(DIFFERENCE), total: z.int() })
const FINDINGS = z.object({ items: z.array(FINDING), total: z.int() })
/** What was looked at before it is published; `draft`: its revision, as GET /draft says it. */
const SEEN = z.object({ message: MESSAGE, base: GIVEN_NUMBER, draft: GIVEN_NUMBER.optional() })

/**
 * From the draft to what is live, and back.
 *
 * @param published told of every new version
 */
export function versionRoutes(press: Press, published: () => Promise<void>): readonly Route[] {
  const { db, rules, documents, reviewer } = press
  /** Who has published finds it served when the answer comes. */
  const serve = async (made: Promise<Version>) => {
    const version = await made
    await published()
    return version
  }

  return [
    route({
      method: 'get',
      path: '/draft',
      summary:
        'What is different in the draft from what is live, and what the checks find, errors first; of each no more than 200, ' +
        'and how many there are',
      role: 'viewer',
      answer: DRAFT,
      async handle() {
        const { base, revision, differences, findings, errors } = await documents.review()
        return {
          base,
          draft: revision,
          differences: differences.items,
          differences_total: differences.total,
          findings: findings.items,
          findings_total: findings.total,
          errors,
        }
      },
    }),
    route({
      method: 'get',
      path: '/draft/differences',
      summary: 'Further differences of the draft, 200 at a time',
      role: 'viewer',
      query: AFTER,
      answer: DIFFERENCES,
      handle: ({ query }) => documents.listDifferences(query.from),
    }),
    route({
      method: 'get',
      path: '/draft/findings',
      summary: 'Further findings in the draft, 200 at a time',
      role: 'viewer',
      query: AFTER,
      answer: FINDINGS,
      handle: ({ query }) => documents.listFindings(query.from),
    }),
    route({
      method: 'post',
      path: '/check',
      summary: 'Check a document that was not saved, as while somebody types; no more than 200 findings, errors first',
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
      method: 'post',
      path: '/versions',
      is_urgent: true,
      summary: 'Publish the draft; where two persons are needed, propose it to the others',
      role: 'publisher',
      body: SEEN,
      answer: z.union([PUBLISHED, z.object({ proposal: z.int() })]),
      status: 201,
      async handle({ actor, body: { draft, ...body } }) {
        const seen = { ...body, revision: draft }
        if (rules.two_persons) return { proposal: await proposeDraft(press, actor, seen) }
        return serve(publishDraft(press, actor, seen))
      },
    }),
    route({
      method: 'get',
      path: '/proposals',
      summary: 'What waits for a second person',
      role: 'viewer',
      answer: z.array(PROPOSAL),
      handle: () => listProposals(db),
    }),
    route({
      method: 'post',
      path: '/proposals',
      summary: 'Propose the draft to the publishers',
      role: 'author',
      body: SEEN,
      answer: z.object({ proposal: z.int() }),
      status: 201,
      handle: async ({ actor, body: { draft, ...body } }) => ({
        proposal: await proposeDraft(press, actor, { ...body, revision: draft }),
      }),
    }),
    route({
      method: 'get',
      path: '/proposals/:id/changes',
      summary: 'What a proposal would change of what is live; 200 at a time, the number of all in Total-Count',
      role: 'viewer',
      params: z.object({ id: ID }),
      query: AFTER,
      answer: z.array(DIFFERENCE),
      handle: async ({ ctx, params, query }) => count(ctx, await compareProposal(press, params.id, query.from)),
    }),
    route({
      method: 'post',
      path: '/proposals/:id/approve',
      is_urgent: true,
      summary: 'Publish what somebody else has proposed',
      role: 'publisher',
      params: z.object({ id: ID }),
      answer: PUBLISHED,
      status: 201,
      handle: ({ actor, params }) => serve(approveProposal(press, actor, params.id)),
    }),
    route({
      method: 'delete',
      path: '/proposals/:id',
      summary: 'Take a proposal back; another’s, as a publisher',
      role: 'author',
      params: z.object({ id: ID }),
      handle: ({ actor, params }) => closeProposal(db, actor, params.id),
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
        return count(ctx, await reviewer.compare(before, after, query.from))
      },
    }),
    route({
      method: 'post',
      path: '/versions/:version/rollback',
      is_urgent: true,
      summary: 'Publish once more what an earlier version had',
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
          message: 'say of which domain the plugin is',
        }),
      answer: PUBLISHED,
      status: 201,
      handle: ({ actor, body }) => serve(throwSwitch(press, actor, body)),
    }),
    route({
      method: 'get',
      path: '/audit',
      summary: 'Who did what, the newest first',
      role: 'viewer',
      query: PAGE.pick({ limit: true }).extend({ before: ID.optional() }),
      answer: z.array(AUDIT_ENTRY),
      handle: ({ query }) => listAudit(db, query.limit, query.before),
    }),
  ]
}

/** Says how many there are of what is answered in part. */
function count<T>(ctx: Context, { items, total }: Slice<T>): readonly T[] {
  ctx.set('Total-Count', String(total))
  return items
}
