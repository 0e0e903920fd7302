import type { Kysely } from 'kysely'
import type { Actor } from '../auth/actor.ts'
import { Problem } from '../problem.ts'
import { touchDraft } from '../store/change.ts'
import type { Tables } from '../store/tables.ts'
import { type PublishingRules, publish, type Version } from './versions.ts'

/** What is switched: everything, a domain, or a plugin of a domain. */
export interface Switch {
  readonly domain?: string | undefined
  readonly plugin?: string | undefined
  readonly on: boolean
}

interface Plugin {
  readonly name?: unknown
  readonly [field: string]: unknown
}

interface Live {
  readonly general?: { readonly status?: unknown }
  readonly domains: readonly { readonly name: string; readonly plugins: readonly (Plugin | number | string)[] }[]
}

/**
 * Switches off, or on again, what is live: at once, without whatever else is in the draft. The draft is switched, too, so
 * that nobody switches it back by publishing.
 *
 * @throws Problem
 */
export function throwSwitch(db: Kysely<Tables>, actor: Actor, given: Switch, rules: PublishingRules): Promise<Version> {
  const { domain, plugin, on } = given
  const what = domain === undefined ? 'everything' : plugin === undefined ? domain : `${domain}/${plugin}`
  return publish(db, actor, 'switch', rules, async (transaction, live) => {
    await switchDraft(transaction, given)
    const document = switchDocument(JSON.parse(live.document), given)
    return { message: `${what} is switched ${on ? 'on' : 'off'}`, document }
  })
}

function switchDocument(live: Live, { domain, plugin, on }: Switch): Live {
  if (domain === undefined) return { ...live, general: { ...live.general, status: on ? 'enabled' : 'disabled' } }
  let found = 0
  const domains = live.domains.map((each) => {
    if (each.name !== domain) return each
    const plugins = each.plugins.map((entry) => {
      const own = typeof entry === 'object' ? entry : { id: entry }
      if (plugin !== undefined && own.name !== plugin) return entry
      found += 1
      return switchFields(own, on)
    })
    return { ...each, plugins }
  })
  if (found === 0)
    throw new Problem(404, `nothing live is called ${plugin === undefined ? domain : `${domain}/${plugin}`}`)
  return { ...live, domains }
}

async function switchDraft(db: Kysely<Tables>, { domain, plugin, on }: Switch): Promise<void> {
  await touchDraft(db, domain ?? 'everything')
  if (domain === undefined) {
    const { fields } = await db.selectFrom('general').select('fields').executeTakeFirstOrThrow()
    const text = JSON.stringify({ ...fields, status: on ? 'enabled' : 'disabled' })
    await db
      .updateTable('general')
      .set((builder) => ({ fields: text, revision: builder('revision', '+', 1) }))
      .execute()
    return
  }
  const plugins = await db
    .selectFrom('plugin')
    .innerJoin('domain', 'domain.id', 'plugin.domain_id')
    .select(['plugin.id', 'plugin.fields'])
    .where('domain.name', '=', domain)
    .$if(plugin !== undefined, (query) => query.where('plugin.name', '=', plugin as string))
    .execute()
  for (const { id, fields } of plugins) {
    await db
      .updateTable('plugin')
      .set((builder) => ({ fields: JSON.stringify(switchFields(fields, on)), revision: builder('revision', '+', 1) }))
      .where('id', '=', id)
      .execute()
  }
}

/** On is what a plugin is that says nothing of it. */
function switchFields(fields: Plugin, on: boolean): Plugin {
  const { enabled: _, ...rest } = fields
  return on ? rest : { ...rest, enabled: false }
}
