import { z } from 'zod'
import type { Promoted } from '../../shared/environments.ts'
import type { Actor } from '../auth/actor.ts'
import type { OutsideRules } from '../outside/exchange.ts'
import type { Press } from '../publishing/press.ts'
import { writeAudit } from '../store/audit.ts'
import { findEnvironment } from './environments.ts'
import { askThere, findRoleThere } from './other-studio.ts'

const SET = z.object({ set: z.int() })
const REVIEWED = z.object({ base: z.int(), revision: z.int() })
const DONE = z.union([z.object({ version: z.int() }), z.object({ proposal: z.int() })])

/**
 * Promotes a version to another studio: there it becomes a change set, which is checked, and proposed. With a token of a
 * publisher it is published by the rules of that studio, which may demand a second person all the same.
 *
 * @throws Problem with what the other studio says; what it has by then is an open change set
 */
export async function promote(
  { db, documents }: Pick<Press, 'db' | 'documents'>,
  actor: Actor,
  id: number,
  { version, message }: { readonly version: number; readonly message: string },
  rules: OutsideRules,
): Promise<Promoted> {
  const other = await findEnvironment(db, id)
  // As it is: it may be large.
  const document = await documents.textOf(version)
  const role = await findRoleThere(other, rules)
  const name = JSON.stringify(message.slice(0, 100))
  const { set } = await askThere(other, rules, 'POST', '/import', SET, `{"name":${name},"document":${document}}`)
  const seen = await askThere(other, rules, 'GET', `/sets/${set}/review`, REVIEWED)
  const how = role === 'publisher' ? 'publish' : 'propose'
  const done = await askThere(
    other,
    rules,
    'POST',
    `/sets/${set}/${how}`,
    DONE,
    JSON.stringify({ message, base: seen.base, revision: seen.revision }),
  )
  const became =
    'version' in done ? { version: done.version, proposal: null } : { version: null, proposal: done.proposal }
  await writeAudit(db, actor, 'promote', `version ${version}`, { to: other.name, ...became })
  return { ...became, url: became.version === null ? `${other.url}/changes/${set}` : other.url }
}
