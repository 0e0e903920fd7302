import type { Documents } from '../publishing/documents.ts'
import type { Contact } from '../review/live-index.ts'
import type { Reviewer } from '../review/reviewer.ts'

/** Who answers for a plugin that is live; nulls where it is not, or does not say. */
export async function findContact(
  { documents, reviewer }: { readonly documents: Documents; readonly reviewer: Reviewer },
  domain: string,
  plugin: string,
): Promise<Contact> {
  const { version, document } = await documents.live()
  const question = { about: 'contact', domain, plugin } as const
  return ((await reviewer.askLive(question, version)) ??
    (await reviewer.askLive(question, version, document))) as Contact
}
