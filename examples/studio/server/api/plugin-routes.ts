import { z } from 'zod'
import { DOMAIN, EXPIRED, GENERAL, LISTED_PLUGIN, PLUGIN, PLUGIN_KEY } from '../../shared/changes.ts'
import { addDomain, moveDomain, removeDomain, renameDomain } from '../changes/domains.ts'
import { findEdit } from '../changes/edit-set.ts'
import { findGeneral, saveGeneral } from '../changes/general.ts'
import { addPlugin, findPlugin, movePlugin, removeExpired, removePlugin, savePlugin } from '../changes/plugins.ts'
import { expiryOf } from '../changes/set-index.ts'
import { listOthers } from '../changes/sets.ts'
import { revisionOf } from '../changes/workspace.ts'
import { describeLive, findOrigins } from '../publishing/live-states.ts'
import type { Press } from '../publishing/press.ts'
import { type Route, route } from './route.ts'
import { FROM_PAGE, ID, SET } from './schemas.ts'

const PHASE = z.enum(['rewrite', 'access', 'content', 'balancer', 'header_filter', 'body_filter', 'log'])
/** As long as the document's format lets it be. */
const NAME = z.string().trim().min(1, 'expected a name').max(1024)
const GIVEN_PLUGIN = z.object({
  name: NAME,
  phase: PHASE,
  fields: z
    .record(z.string(), z.unknown())
    .refine((fields) => !('name' in fields) && !('phase' in fields), {
      message: 'name and phase stand beside fields',
    })
    .refine((fields) => !('file' in fields), { message: 'file is for folders: expected code' }),
})
const KEY = PLUGIN_KEY.extend({
  domain: z.string().min(1).max(1024),
  name: z.string().min(1).max(1024),
  phase: z.string().min(1).max(100),
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

const REVISION = z.string().min(1).max(100)
const OF_SET = z.object({ set: ID.optional() })
const IN_SET = z.object({ set: SET })
/** The change set that has it now. */
const CHANGED = z.object({ set: z.int() })
const OR_NEW = 'With new in place of its number, a change set begins'

/** What is live, with a change set in it: domains, plugins, and what holds for all. */
export function pluginRoutes(press: Press): readonly Route[] {
  const { db, workspace } = press
  return [
    route({
      method: 'get',
      path: '/domains',
      summary: 'Domains as they are live, or with a change set, in the order of the document',
      role: 'viewer',
      query: FROM_PAGE.extend(OF_SET.shape),
      answer: z.array(DOMAIN),
      handle: ({ query: { set, ...page } }) => workspace.ask(set, { about: 'domains', ...page }),
    }),
    route({
      method: 'get',
      path: '/plugins',
      summary: 'Plugins as they are live, or with a change set, in the order of the document, without their code',
      role: 'viewer',
      query: FROM_PAGE.extend(OF_SET.shape).extend({ domain: z.string().max(1024).optional() }),
      answer: z.array(LISTED_PLUGIN),
      async handle({ query: { set, ...page } }) {
        const plugins = await workspace.ask(set, { about: 'plugins', ...page })
        const origins = await findOrigins(db, plugins)
        return plugins.map(({ fields, live, conflicts, ...plugin }, at) => ({
          ...plugin,
          fields: fields ?? live ?? {},
          has_conflict: conflicts.length > 0,
          live: describeLive(live, origins[at]),
        }))
      },
    }),
    route({
      method: 'get',
      path: '/expired',
      summary: 'How many plugins have an expires_at that is past, as they are live, or with a change set',
      role: 'viewer',
      query: OF_SET,
      answer: EXPIRED,
      async handle({ query: { set } }) {
        const expired = await workspace.ask(set, { about: 'expired', now: Date.now() })
        const last = Math.max(...expired.map(({ fields }) => expiryOf(fields)))
        return { total: expired.length, last_at: expired.length === 0 ? null : new Date(last).toISOString() }
      },
    }),
    route({
      method: 'get',
      path: '/plugin',
      summary: 'One plugin as it is live, or with a change set',
      role: 'viewer',
      query: KEY.extend(OF_SET.shape),
      answer: PLUGIN,
      async handle({ query: { set, ...key } }) {
        const { fields, live, ...plugin } = await findPlugin(press, set, key)
        const edit = set === undefined ? undefined : await findEdit(db, set, { kind: 'plugin', ...key })
        const [origin] = await findOrigins(db, [key])
        return {
          ...plugin,
          set: set ?? null,
          fields: fields ?? live ?? {},
          revision: revisionOf(edit, live),
          live: describeLive(live, origin),
          live_fields: live,
          base_fields: edit === undefined ? live : edit.base,
          others: await listOthers(db, set, key.domain, key.name, key.phase),
        }
      },
    }),
    route({
      method: 'get',
      path: '/general',
      summary: 'What is said of the whole document, such as skip_domains: live, or with a change set',
      role: 'viewer',
      query: OF_SET,
      answer: GENERAL,
      handle: ({ query }) => findGeneral(press, query.set),
    }),
    route({
      method: 'post',
      path: '/sets/:set/domains',
      summary: `Add a domain in a change set. ${OR_NEW}`,
      role: 'author',
      params: IN_SET,
      body: z.object({ name: NAME }),
      answer: CHANGED,
      status: 201,
      handle: ({ actor, params, body }) => addDomain(press, actor, params.set ?? body, body.name),
    }),
    route({
      method: 'put',
      path: '/sets/:set/domains',
      summary: `Rename a domain in a change set. ${OR_NEW}`,
      role: 'author',
      params: IN_SET,
      body: z.object({ domain: NAME, name: NAME }),
      answer: CHANGED,
      handle: ({ actor, params, body }) => renameDomain(press, actor, params.set ?? body, body.domain, body.name),
    }),
    route({
      method: 'post',
      path: '/sets/:set/domains/move',
      summary: `Put a domain before another one; with null, behind all. ${OR_NEW}`,
      role: 'author',
      params: IN_SET,
      body: z.object({ domain: NAME, before: NAME.nullable() }),
      answer: CHANGED,
      handle: ({ actor, params, body: { domain, before } }) =>
        moveDomain(press, actor, params.set ?? { name: 'Order of domains' }, domain, before),
    }),
    route({
      method: 'delete',
      path: '/sets/:set/domains',
      summary: `Remove a domain and its plugins in a change set. ${OR_NEW}`,
      role: 'author',
      params: IN_SET,
      body: z.object({ domain: NAME }),
      answer: CHANGED,
      handle: ({ actor, params, body: { domain } }) =>
        removeDomain(press, actor, params.set ?? { name: `Remove ${domain}` }, domain),
    }),
    route({
      method: 'post',
      path: '/sets/:set/plugins',
      summary: `Add a plugin to a domain in a change set. ${OR_NEW}`,
      role: 'author',
      params: IN_SET,
      body: GIVEN_PLUGIN.extend({ domain: NAME }),
      answer: CHANGED,
      status: 201,
      handle: ({ actor, params, body: { domain, ...plugin } }) =>
        addPlugin(press, actor, params.set ?? plugin, domain, plugin),
    }),
    route({
      method: 'put',
      path: '/sets/:set/plugins',
      summary:
        'Save a plugin in a change set; 409 with the plugin as it is now when somebody else has saved or published it since. ' +
        `resolve: what is saved settles its conflicts with what is live. ${OR_NEW}`,
      role: 'author',
      params: IN_SET,
      body: z.object({ key: KEY, plugin: GIVEN_PLUGIN, revision: REVISION, resolve: z.boolean().default(false) }),
      answer: CHANGED,
      handle: ({ actor, params, body: { key, plugin, ...saving } }) =>
        savePlugin(press, actor, params.set ?? plugin, key, plugin, saving),
    }),
    route({
      method: 'post',
      path: '/sets/:set/plugins/move',
      summary: `Put a plugin before another one, or with null behind all, of its domain or of another. ${OR_NEW}`,
      role: 'author',
      params: IN_SET,
      body: z.object({ key: KEY, to: NAME, before: KEY.pick({ name: true, phase: true }).nullable() }),
      answer: CHANGED,
      handle: ({ actor, params, body: { key, ...place } }) => movePlugin(press, actor, params.set ?? key, key, place),
    }),
    route({
      method: 'delete',
      path: '/sets/:set/plugins',
      summary: `Remove a plugin in a change set. ${OR_NEW}`,
      role: 'author',
      params: IN_SET,
      body: z.object({ key: KEY, revision: REVISION }),
      answer: CHANGED,
      handle: ({ actor, params, body: { key, revision } }) =>
        removePlugin(press, actor, params.set ?? { name: `Remove ${key.name}` }, key, revision),
    }),
    route({
      method: 'delete',
      path: '/sets/:set/plugins/expired',
      summary: `Remove in a change set every plugin whose expires_at is past. ${OR_NEW}`,
      role: 'author',
      params: IN_SET,
      answer: CHANGED.extend({ removed: z.int() }),
      handle: ({ actor, params }) => removeExpired(press, actor, params.set ?? { name: 'Remove expired plugins' }),
    }),
    route({
      method: 'put',
      path: '/sets/:set/general',
      summary: `Save what is said of the whole document; 409 with what is there now when somebody else has changed it since. ${OR_NEW}`,
      role: 'author',
      params: IN_SET,
      body: z.object({ fields: GIVEN_GENERAL, revision: REVISION, resolve: z.boolean().default(false) }),
      answer: CHANGED,
      handle: ({ actor, params, body: { fields, ...saving } }) =>
        saveGeneral(press, actor, params.set ?? { name: 'For all domains' }, fields, saving),
    }),
  ]
}
