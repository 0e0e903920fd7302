import type { Contact, PluginName } from '../review/live-index.ts'
import type { Reviewer } from '../review/reviewer.ts'
import { askLive } from './ask-live.ts'
import type { Documents } from './documents.ts'

/** Of a plugin that says nothing. */
export const NOBODY: Contact = Object.freeze({ owner: null, runbook: null })

/**
 * Who answers for these plugins, in their order; nulls for one that is not live, or does not say. Nulls too if nobody can
 * be asked: what is wrong with a plugin is worth more than who answers for it.
 */
export async function findContacts(
  { documents, reviewer }: { readonly documents: Documents; readonly reviewer: Reviewer },
  plugins: readonly PluginName[],
): Promise<readonly Contact[]> {
  if (plugins.length === 0) return []
  try {
    return await askLive(reviewer, await documents.live(), {
      about: 'contacts',
      plugins: plugins.map(({ domain, name }) => ({ domain, name })),
    })
  } catch {
    return plugins.map(() => NOBODY)
  }
}
