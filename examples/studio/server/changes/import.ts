import type { Actor } from '../auth/actor.ts'
import { Problem } from '../problem.ts'
import type { Documents } from '../publishing/documents.ts'
import type { Reviewer } from '../review/reviewer.ts'
import { addEdits, editSet } from './edit-set.ts'
import type { Desk } from './plugins.ts'

/**
 * Makes a change set of a document: with it, what is live becomes that.
 *
 * @param bytes of the request
 * @throws Problem with 409 when another version is live than was looked at, or where it would change nothing
 */
export async function importSet(
  { db, documents, reviewer }: Desk & { readonly documents: Documents; readonly reviewer: Reviewer },
  actor: Actor,
  bytes: Uint8Array,
): Promise<{ set: number }> {
  const live = await documents.live()
  const { edits, base, name, plugins, domains } = await reviewer.importEdits(bytes, live.document)
  if (base !== undefined && base !== live.version) {
    const message = 'another version went live after the preview; preview the import again'
    throw new Problem(409, message, { current: { version: live.version } })
  }
  if (edits.length === 0) throw new Problem(409, `no changes: this is what version ${live.version} has`)
  const subject = `${plugins} plugins in ${domains} domains`
  return editSet(
    db,
    actor,
    { name: name ?? `Import of ${subject}` },
    ['import change set', subject],
    async (transaction, id) => {
      await addEdits(transaction, actor, id, edits)
      return undefined
    },
  )
}
