import type { Kysely } from 'kysely'
import type { Actor } from '../auth/actor.ts'
import { Problem } from '../problem.ts'
import { putTogether, switchAll, switchFields } from '../review/document-parts.ts'
import { touchDraft } from '../store/change.ts'
import type { Tables } from '../store/tables.ts'
import type { Press } from './press.ts'
import { publish } from './publish.ts'
import type { Version } from './versions.ts'

/** What is switched: everything, a domain, or a plugin of a domain. */
export interface Switch {
  readonly domain?: string | undefined
  readonly plugin?: string | undefined
  readonly on: boolean
}

/**
 * Switches off, or on again, what is live: at once, without whatever else is in the draft. The draft is switched, too, so
 * that nobody switches it back by publishing.
 *
 * @throws Problem
 */
export function throwSwitch(press: Press, actor: Actor, given: Switch): Promise<Version> {
  const { domain, plugin, on } = given
  const what = domain === undefined ? 'everything' : plugin === undefined ? domain : `${domain}/${plugin}`
  return publish(press, actor, 'switch', async (live) => {
    const document = await press.reviewer.takeApart(live.document, given)
    if (document === undefined) throw new Problem(404, `nothing live is called ${what}`)
    if (putTogether(document, {}) === live.document)
      throw new Problem(409, `${what} is already switched ${on ? 'on' : 'off'}`)
    const message = `${what} is switched ${on ? 'on' : 'off'}`
    return { message, document, settle: (transaction) => switchDraft(transaction, given) }
  })
}

async function switchDraft(db: Kysely<Tables>, { domain, plugin, on }: Switch): Promise<void> {
  await touchDraft(db, domain ?? 'everything')
  if (domain === undefined) {
    const { fields } = await db.selectFrom('general').select('fields').executeTakeFirstOrThrow()
    const text = JSON.stringify(switchAll(fields, on))
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
