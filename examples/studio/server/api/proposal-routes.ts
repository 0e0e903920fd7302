import { z } from 'zod'
import { DIFFERENCE, PROPOSAL } from '../../shared/review.ts'
import type { Press } from '../publishing/press.ts'
import {
  approveProposal,
  closeProposal,
  compareProposal,
  listProposals,
  proposeDraft,
} from '../publishing/proposals.ts'
import { AFTER, countAll, PUBLISHED, SEEN, serveFirst } from './published.ts'
import { type Route, route } from './route.ts'
import { ID } from './schemas.ts'

/** What one person proposes, and another publishes. @param published as versionRoutes */
export function proposalRoutes(press: Press, published: () => Promise<void>): readonly Route[] {
  const { db } = press
  const serve = serveFirst(published)
  return [
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
      handle: async ({ ctx, params, query }) => countAll(ctx, await compareProposal(press, params.id, query.from)),
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
      summary: 'Withdraw a proposal; a publisher can reject another’s',
      role: 'author',
      params: z.object({ id: ID }),
      handle: ({ actor, params }) => closeProposal(db, actor, params.id),
    }),
  ]
}
