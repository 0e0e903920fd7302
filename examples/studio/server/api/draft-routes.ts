import { z } from 'zod'
import type { Database } from '../store/database.ts'
import {
  addDomain,
  addPlugin,
  findDomain,
  findPlugin,
  listDomains,
  listPlugins,
  removeDomain,
  removePlugin,
  savePlugin,
} from '../store/drafts.ts'
import { type Route, route } from './route.ts'
import { ID, PAGE, REVISION, TIME } from './schemas.ts'

const PHASE = z.enum(['rewrite', 'access', 'content', 'balancer', 'header_filter', 'body_filter', 'log'])
const DOMAIN = z.object({ id: z.int(), name: z.string(), position: z.int(), revision: z.int() })
const DRAFT = z.object({
  name: z.string().trim().min(1).max(200),
  phase: PHASE,
  fields: z.record(z.string(), z.unknown()).refine((fields) => !('name' in fields) && !('phase' in fields), {
    message: 'name and phase stand beside fields',
  }),
})
const PLUGIN = DRAFT.extend({
  id: z.int(),
  domain_id: z.int(),
  phase: z.string(),
  position: z.int(),
  revision: z.int(),
  updated_at: TIME,
})

/** What is being worked on. */
export function draftRoutes({ db }: Database): readonly Route[] {
  return [
    route({
      method: 'get',
      path: '/domains',
      summary: 'Domains, in the order of the document',
      role: 'viewer',
      query: PAGE,
      answer: z.array(DOMAIN.extend({ plugins: z.int() })),
      handle: ({ query }) => listDomains(db, query),
    }),
    route({
      method: 'post',
      path: '/domains',
      summary: 'Add a domain',
      role: 'author',
      body: z.object({ name: z.string().trim().min(1).max(200) }),
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
      answer: z.array(PLUGIN.extend({ domain: z.string() })),
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
      method: 'delete',
      path: '/plugins/:id',
      summary: 'Remove a plugin from the draft',
      role: 'author',
      params: z.object({ id: ID }),
      body: z.object({ revision: REVISION }),
      handle: ({ actor, params, body }) => removePlugin(db, actor, params.id, body.revision),
    }),
  ]
}
