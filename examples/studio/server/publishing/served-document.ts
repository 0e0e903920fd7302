import type { RequestListener } from 'node:http'
import { document_api } from 'dynacode/tools'
import type { Database } from '../store/database.ts'
import type { Documents } from './documents.ts'

/** The document as instances get it. */
export interface ServedDocument {
  readonly listener: RequestListener
  /** The version that is served. */
  version(): number
  /** Looks for a newer version now; never rejects. */
  reload(): Promise<void>
  close(): void
}

/**
 * Serves the newest version, from memory: it is read once for all who ask. Every process of the studio is told
 * of a new one by the database.
 *
 * @param failed told when it cannot be read; what was served before is served on
 */
export async function serveDocument(
  { listen }: Database,
  documents: Documents,
  failed: (error: Error) => void,
): Promise<ServedDocument> {
  const api = document_api()
  let served = -1
  let running = Promise.resolve()

  async function load(): Promise<void> {
    const { version, document, signed } = await documents.live()
    // Announcements may overtake each other, and be of what this very process has published.
    if (version <= served) return
    api.publish(Buffer.from(signed ?? document))
    served = version
  }

  /** One after the other, so that an older one cannot come last. */
  function reload(): Promise<void> {
    running = running.then(load).catch(failed)
    return running
  }

  await load()
  const unlisten = listen('studio_version', () => void reload())
  return Object.freeze({
    listener: api.listener,
    version: () => served,
    reload,
    close() {
      unlisten()
    },
  })
}
