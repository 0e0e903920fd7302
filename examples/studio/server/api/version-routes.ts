import { check_document, compare_documents } from 'dynacode/tools'
import { z } from 'zod'
import { Problem } from '../problem.ts'
import {
  approveProposal,
  closeProposal,
  compareProposal,
  listProposals,
  proposeDraft,
} from '../publishing/proposals.ts'
import { throwSwitch } from '../publishing/switches.ts'
import {
  findLive,
  findVersion,
  listVersions,
  NOTHING,
  type PublishingRules,
  publishDraft,
  rollBack,
  type Version,
} from '../publishing/versions.ts'
import { listAudit } from '../store/audit.ts'
import { composeDraft } from '../store/compose-draft.ts'
import type { Database } from '../store/database.ts'
import { type Route, route } from './route.ts'
import { DIFFERENCE, FINDING, ID, PAGE, TIME, VERSION } from './schemas.ts'

const NUMBER = z.coerce.number<string>().int().min(0)
const MESSAGE = z.string().trim().min(1, 'say what is new').max(500)
const PUBLISHED = z.object({ version: z.int() })

/**
 * From the draft to what is live, and back.
 *
 * @param published told of every new version
 */
export function versionRoutes(
  { db }: Database,
  rules: PublishingRules,
  published: () => Promise<void>,
): readonly Route[] {
  /** Who has published finds it served when the answer comes. */
  const serve = async (made: Promise<Version>) => {
    const version = await made
    await published()
    return version
  }
  const textOf = async (version: number) => (version === 0 ? NOTHING : (await findVersion(db, version)).document)

  return [
    route({
      method: 'get',
      path: '/draft',
      summary: 'The draft as a document, what is different in it from what is live, and what the checks find',
      role: 'viewer',
      answer: z.object({
        base: z.int(),
        document: z.unknown(),
        differences: z.array(DIFFERENCE),
        findings: z.array(FINDING),
      }),
      async handle() {
        const [live, document] = await Promise.all([findLive(db), composeDraft(db)])
        const { findings } = await check_document(document, { globals: rules.globals })
        const { version, expires } = JSON.parse(live.document).general
        const after = { ...document, general: { ...document.general, version, expires } }
        return { base: live.version, document, differences: compareOrNone(live.document, after), findings }
      },
    }),
    route({
      method: 'post',
      path: '/check',
      summary: 'Check a document that was not saved, as while somebody types',
      role: 'viewer',
      body: z.object({ document: z.looseObject({ domains: z.array(z.unknown()) }) }),
      answer: z.object({ findings: z.array(FINDING) }),
      async handle({ body }) {
        const { findings } = await check_document(body.document, { globals: rules.globals })
        return { findings }
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
      summary: 'Publish the draft; where two persons are needed, propose it to the others',
      role: 'publisher',
      body: z.object({ message: MESSAGE, base: z.int().min(0) }),
      answer: z.union([PUBLISHED, z.object({ proposal: z.int() })]),
      status: 201,
      handle: async ({ actor, body }) =>
        rules.two_persons
          ? { proposal: await proposeDraft(db, actor, body, rules) }
          : serve(publishDraft(db, actor, body, rules)),
    }),
    route({
      method: 'get',
      path: '/proposals',
      summary: 'What waits for a second person',
      role: 'viewer',
      answer: z.array(
        z.object({
          id: z.int(),
          message: z.string(),
          base: z.int(),
          created_by: z.int(),
          created_by_name: z.string(),
          created_at: TIME,
        }),
      ),
      handle: () => listProposals(db),
    }),
    route({
      method: 'get',
      path: '/proposals/:id/changes',
      summary: 'What a proposal would change of what is live',
      role: 'viewer',
      params: z.object({ id: ID }),
      answer: z.array(DIFFERENCE),
      handle: ({ params }) => compareProposal(db, params.id),
    }),
    route({
      method: 'post',
      path: '/proposals/:id/approve',
      summary: 'Publish what somebody else has proposed',
      role: 'publisher',
      params: z.object({ id: ID }),
      answer: PUBLISHED,
      status: 201,
      handle: ({ actor, params }) => serve(approveProposal(db, actor, params.id, rules)),
    }),
    route({
      method: 'delete',
      path: '/proposals/:id',
      summary: 'Take a proposal back',
      role: 'publisher',
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
      handle: async ({ params }) => JSON.parse(await textOf(params.version)),
    }),
    route({
      method: 'get',
      path: '/versions/:before/changes/:after',
      summary: 'What is different between two versions',
      role: 'viewer',
      params: z.object({ before: NUMBER, after: NUMBER }),
      answer: z.array(DIFFERENCE),
      handle: async ({ params }) => compare_documents(await textOf(params.before), await textOf(params.after)),
    }),
    route({
      method: 'post',
      path: '/versions/:version/rollback',
      summary: 'Publish once more what an earlier version had',
      role: 'publisher',
      params: z.object({ version: NUMBER }),
      answer: PUBLISHED,
      status: 201,
      handle: ({ actor, params }) => serve(rollBack(db, actor, params.version, rules)),
    }),
    route({
      method: 'post',
      path: '/switch',
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
      handle: ({ actor, body }) => serve(throwSwitch(db, actor, body, rules)),
    }),
    route({
      method: 'get',
      path: '/audit',
      summary: 'Who did what, the newest first',
      role: 'viewer',
      query: PAGE.pick({ limit: true }).extend({ before: ID.optional() }),
      answer: z.array(
        z.object({
          id: z.int(),
          at: TIME,
          actor: z.string(),
          action: z.string(),
          subject: z.string(),
          details: z.record(z.string(), z.unknown()),
        }),
      ),
      handle: ({ query }) => listAudit(db, query.limit, query.before),
    }),
  ]
}

/** A draft that would be refused as a whole cannot be compared; the findings say why. */
function compareOrNone(before: string, after: object & { domains: readonly unknown[] }): unknown {
  try {
    return compare_documents(before, after as never)
  } catch (error) {
    if (error instanceof Problem) throw error
    return []
  }
}
