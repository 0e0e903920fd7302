import { z } from 'zod'
import { DOMAIN, GENERAL, LISTED_DOMAIN, LISTED_PLUGIN, PLUGIN } from '../../shared/draft.ts'
import type { Database } from '../store/database.ts'
import { addDomain, findDomain, listDomains, moveDomain, removeDomain, renameDomain } from '../store/domains.ts'
import { findGeneral, saveGeneral } from '../store/general.ts'
import { addPlugin, findPlugin, listPlugins, movePlugin, removePlugin, savePlugin } from '../store/plugins.ts'
import { type Route, route } from './route.ts'
import { GIVEN_ID, ID, PAGE, REVISION } from './schemas.ts'

const PHASE = z.enum(['rewrite', 'access', 'content', 'balancer', 'header_filter', 'body_filter', 'log'])
/** As long as the document's format lets it be. */
const NAME = z.string().trim().min(1, 'expected a name').max(1024)
const DRAFT = z.object({
  name: NAME,
  phase: PHASE,
  fields: z
    .record(z.string(), z.unknown())
    .refine((fields) => !('name' in fields) && !('phase' in fields), {
      message: 'name and phase stand beside fields',
    })
    .refine((fields) => !('file' in fields), { message: 'file is for folders: expected code' }),
})

/** What a document may say of itself; fields of other versions of dynacode pass. */
const GIVEN_GENERAL = z
  .looseObject({
    status: z.enum(['enabled', 'disabled']).optional(),
    skip_domains: z.array(z.string().min(1).max(1024)).max(10_000).optional(),
    allow_removal: z.boolean().optional(),
  })
  .refine((fields) => !('version' in fields) && !('expires' in fields), {
    message: 'version and expires are set when a version is published',
  })
const BEFORE = GIVEN_ID.nullable()

/** What is being worked on. */
export function draftRoutes({ db }: Database): readonly Route[] {
  return [
    route({
      method: 'get',
      path: '/domains',
      summary: 'Domains, in the order of the document',
      role: 'viewer',
      query: PAGE,
      answer: z.array(LISTED_DOMAIN),
      handle: ({ query }) => listDomains(db, query),
    }),
    route({
      method: 'post',
      path: '/domains',
      summary: 'Add a domain',
      role: 'author',
      body: z.object({ name: NAME }),
      answer: DOMAIN,
      status: 201,
      handle: ({ actor, body }) => addDomain(db, actor, body.name),
    }),
    route({
      method: 'get',
      path: '/domains/:id',
      summary: 'One domain',
      role: 'viewer',
      params: z.object({ id: ID }),
      answer: DOMAIN,
      handle: ({ params }) => findDomain(db, params.id),
    }),
    route({
      method: 'put',
      path: '/domains/:id',
      summary: 'Rename a domain; 409 with the domain as it is now when somebody else has changed it since',
      role: 'author',
      params: z.object({ id: ID }),
      body: z.object({ name: NAME, revision: REVISION }),
      answer: DOMAIN,
      handle: ({ actor, params, body }) => renameDomain(db, actor, params.id, body.revision, body.name),
    }),
    route({
      method: 'post',
      path: '/domains/:id/move',
      summary: 'Put a domain before another one; with null, behind all',
      role: 'author',
      params: z.object({ id: ID }),
      body: z.object({ before: BEFORE }),
      answer: DOMAIN,
      handle: ({ actor, params, body }) => moveDomain(db, actor, params.id, body.before),
    }),
    route({
      method: 'delete',
      path: '/domains/:id',
      summary: 'Remove a domain and its plugins from the draft',
      role: 'author',
      params: z.object({ id: ID }),
      body: z.object({ revision: REVISION }),
      handle: ({ actor, params, body }) => removeDomain(db, actor, params.id, body.revision),
    }),
    route({
      method: 'get',
      path: '/plugins',
      summary: 'Plugins, in the order of the document',
      role: 'viewer',
      query: PAGE.extend({ domain_id: ID.optional() }),
      answer: z.array(LISTED_PLUGIN),
      handle: ({ query }) => listPlugins(db, query),
    }),
    route({
      method: 'post',
      path: '/domains/:id/plugins',
      summary: 'Add a plugin to a domain',
      role: 'author',
      params: z.object({ id: ID }),
      body: DRAFT,
      answer: PLUGIN,
      status: 201,
      handle: ({ actor, params, body }) => addPlugin(db, actor, params.id, body),
    }),
    route({
      method: 'get',
      path: '/plugins/:id',
      summary: 'One plugin',
      role: 'viewer',
      params: z.object({ id: ID }),
      answer: PLUGIN,
      handle: ({ params }) => findPlugin(db, params.id),
    }),
    route({
      method: 'put',
      path: '/plugins/:id',
      summary: 'Save a plugin; 409 with the plugin as it is now when somebody else has saved it since',
      role: 'author',
      params: z.object({ id: ID }),
      body: DRAFT.extend({ revision: REVISION }),
      answer: PLUGIN,
      handle: ({ actor, params, body: { revision, ...draft } }) => savePlugin(db, actor, params.id, revision, draft),
    }),
    route({
      method: 'post',
      path: '/plugins/:id/move',
      summary: 'Put a plugin before another one, or with null behind all, of its domain or of another',
      role: 'author',
      params: z.object({ id: ID }),
      body: z.object({ before: BEFORE, domain_id: GIVEN_ID.optional() }),
      answer: PLUGIN,
      handle: ({ actor, params, body }) => movePlugin(db, actor, params.id, body),
    }),
    route({
      method: 'delete',
      path: '/plugins/:id',
      summary: 'Remove a plugin from the draft',
      role: 'author',
      params: z.object({ id: ID }),
      body: z.object({ revision: REVISION }),
      handle: ({ actor, params, body }) => removePlugin(db, actor, params.id, body.revision),
    }),
    route({
      method: 'get',
      path: '/general',
      summary: 'What the draft says of the whole document, such as skip_domains',
      role: 'viewer',
      answer: GENERAL,
      handle: () => findGeneral(db),
    }),
    route({
      method: 'put',
      path: '/general',
      summary: 'Save that; 409 with what is there now when somebody else has saved it since',
      role: 'author',
      body: z.object({ fields: GIVEN_GENERAL, revision: REVISION }),
      answer: GENERAL,
      handle: ({ actor, body }) => saveGeneral(db, actor, body.revision, body.fields),
    }),
  ]
}
