import { z } from 'zod'
import { CHANGE_SET, COMMENT, EDIT_KINDS, PLUGIN_KEY, REVIEWED_SET } from '../../shared/changes.ts'
import { DIFFERENCE, FINDING } from '../../shared/review.ts'
import { listEdits } from '../changes/list-edits.ts'
import { discardEdit, splitPlugin } from '../changes/plugins.ts'
import {
  addComment,
  createSet,
  discardSet,
  findSet,
  listComments,
  listSets,
  renameSet,
  reopenSet,
  withdrawProposal,
} from '../changes/sets.ts'
import type { Press } from '../publishing/press.ts'
import { approveSet, proposeSet, publishSet } from '../publishing/publish-set.ts'
import { AFTER, PUBLISHED, SEEN, serveFirst } from './published.ts'
import { type Route, route } from './route.ts'
import { FROM_PAGE, ID } from './schemas.ts'

const NAME = z.string().trim().min(1, 'expected a name').max(100)
const ONE = z.object({ set: ID })
const MADE = z.object({ set: z.int() })
const GIVEN_MESSAGE = SEEN.shape.message
const PROPOSED = z.object({ proposal: z.int() })

/** Change sets, from the first change to what is live. @param published as versionRoutes */
export function setRoutes(press: Press, published: () => Promise<void>): readonly Route[] {
  const { db, rules, workspace } = press
  const serve = serveFirst(published)
  return [
    route({
      method: 'get',
      path: '/sets',
      summary: 'Change sets that are open, or with state=closed those that are not any more; the newest first',
      role: 'viewer',
      query: FROM_PAGE.omit({ search: true }).extend({ state: z.enum(['open', 'closed']).default('open') }),
      answer: z.array(CHANGE_SET),
      handle: ({ query: { state, limit, from } }) => listSets(db, state === 'open', limit, from),
    }),
    route({
      method: 'post',
      path: '/sets',
      summary: 'Begin a change set',
      role: 'author',
      body: z.object({ name: NAME }),
      answer: MADE,
      status: 201,
      handle: ({ actor, body }) => createSet(db, actor, body.name),
    }),
    route({
      method: 'get',
      path: '/sets/:set',
      summary: 'One change set',
      role: 'viewer',
      params: ONE,
      answer: CHANGE_SET,
      handle: ({ params }) => findSet(db, params.set),
    }),
    route({
      method: 'patch',
      path: '/sets/:set',
      summary: 'Rename a change set',
      role: 'author',
      params: ONE,
      body: z.object({ name: NAME }),
      handle: ({ actor, params, body }) => renameSet(db, actor, params.set, body.name),
    }),
    route({
      method: 'delete',
      path: '/sets/:set',
      summary: 'Discard a change set; another’s, as a publisher',
      role: 'author',
      params: ONE,
      handle: ({ actor, params }) => discardSet(db, actor, params.set),
    }),
    route({
      method: 'post',
      path: '/sets/:set/reopen',
      summary: 'Begin a change set with what this one had, that was discarded, published or rolled back',
      role: 'author',
      params: ONE,
      answer: MADE,
      status: 201,
      handle: ({ actor, params }) => reopenSet(db, actor, params.set),
    }),
    route({
      method: 'get',
      path: '/sets/:set/review',
      summary:
        'The differences between a change set and the live version, what the checks find, errors first, and its conflicts; at ' +
        'most 200 of each, and how many there are',
      role: 'viewer',
      params: ONE,
      answer: REVIEWED_SET,
      async handle({ params: { set } }) {
        const { base, revision, differences, findings, errors, conflicts, changes } = await workspace.review(set)
        return {
          base,
          revision,
          changes: await listEdits(db, set, conflicts),
          changes_total: changes,
          conflicts: conflicts.length,
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
      path: '/sets/:set/differences',
      summary: 'Further differences of a change set, 200 at a time',
      role: 'viewer',
      params: ONE,
      query: AFTER,
      answer: z.object({ items: z.array(DIFFERENCE), total: z.int() }),
      handle: ({ params, query }) => workspace.listDifferences(params.set, query.from),
    }),
    route({
      method: 'get',
      path: '/sets/:set/findings',
      summary: 'Further findings in a change set, 200 at a time',
      role: 'viewer',
      params: ONE,
      query: AFTER,
      answer: z.object({ items: z.array(FINDING), total: z.int() }),
      handle: ({ params, query }) => workspace.listFindings(params.set, query.from),
    }),
    route({
      method: 'delete',
      path: '/sets/:set/changes',
      summary: 'Discard one change of a change set',
      role: 'author',
      params: ONE,
      body: PLUGIN_KEY.extend({ kind: z.enum(EDIT_KINDS) }),
      answer: MADE,
      handle: ({ actor, params, body }) => discardEdit(press, actor, params.set, body),
    }),
    route({
      method: 'post',
      path: '/sets/:set/split',
      summary: 'Put the change of one plugin into a change set of its own',
      role: 'author',
      params: ONE,
      body: PLUGIN_KEY,
      answer: MADE,
      status: 201,
      handle: ({ actor, params, body }) => splitPlugin(press, actor, params.set, body),
    }),
    route({
      method: 'post',
      path: '/sets/:set/publish',
      is_urgent: true,
      summary: 'Publish a change set; where two persons are needed, propose it to the others',
      role: 'publisher',
      params: ONE,
      body: SEEN,
      answer: z.union([PUBLISHED, PROPOSED]),
      status: 201,
      async handle({ actor, params: { set }, body: { message, ...seen } }) {
        if (rules.two_persons) return { proposal: await proposeSet(press, actor, set, message, seen) }
        return serve(publishSet(press, actor, set, message, seen))
      },
    }),
    route({
      method: 'post',
      path: '/sets/:set/propose',
      summary: 'Propose a change set to the publishers',
      role: 'author',
      params: ONE,
      body: SEEN,
      answer: PROPOSED,
      status: 201,
      handle: async ({ actor, params: { set }, body: { message, ...seen } }) => ({
        proposal: await proposeSet(press, actor, set, message, seen),
      }),
    }),
    route({
      method: 'post',
      path: '/sets/:set/approve',
      is_urgent: true,
      summary: 'Publish what someone else has proposed',
      role: 'publisher',
      params: ONE,
      body: SEEN.omit({ message: true }),
      answer: PUBLISHED,
      status: 201,
      handle: ({ actor, params, body }) => serve(approveSet(press, actor, params.set, body)),
    }),
    route({
      method: 'delete',
      path: '/sets/:set/proposal',
      summary: 'Withdraw a proposal; a publisher can reject another’s. The change set stays as it is',
      role: 'author',
      params: ONE,
      handle: ({ actor, params }) => withdrawProposal(db, actor, params.set),
    }),
    route({
      method: 'get',
      path: '/sets/:set/comments',
      summary: 'Comments on a change set, the oldest first',
      role: 'viewer',
      params: ONE,
      answer: z.array(COMMENT),
      handle: ({ params }) => listComments(db, params.set),
    }),
    route({
      method: 'post',
      path: '/sets/:set/comments',
      summary: 'Comment on a change set',
      role: 'author',
      params: ONE,
      body: z.object({ text: GIVEN_MESSAGE.max(4000) }),
      handle: ({ actor, params, body }) => addComment(db, actor, params.set, body.text),
    }),
  ]
}
