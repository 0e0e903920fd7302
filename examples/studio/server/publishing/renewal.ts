import { sql } from 'kysely'
import { Problem } from '../problem.ts'
import type { DocumentParts } from '../review/document-parts.ts'
import type { Press } from './press.ts'
import { HOLDS_MS, publish, STUDIO } from './publish.ts'
import type { Version } from './versions.ts'

/** A version is signed anew when no more than this is left of its time, in milliseconds: there are days to mend what fails. */
const LEFT_MS = HOLDS_MS / 3
/** How often somebody looks, in milliseconds; several studios at different times. */
const LOOK_EVERY_MS = 3_600_000

/**
 * Signs what is live anew, under a new number, when its time is running out, or when it was published before there was a key.
 * Of several studios one does.
 *
 * @param now in milliseconds since 1970
 * @returns the new version; undefined when it is not time
 */
export async function renewIfDue(press: Press, now: number): Promise<Version | undefined> {
  if (press.rules.key === undefined) return undefined
  const live = await press.db
    .selectFrom('version')
    .select(['version', 'created_at', sql<boolean>`signed is not null`.as('is_signed')])
    .orderBy('version', 'desc')
    .limit(1)
    .executeTakeFirst()
  if (live === undefined) return undefined
  if (live.is_signed && live.created_at.getTime() + HOLDS_MS - LEFT_MS > now) return undefined
  const message = live.is_signed ? 'signed anew before its end' : 'signed, as it was not yet'
  try {
    return await publish(press, STUDIO, 'renew', async ({ version, document }) => {
      if (version !== live.version) throw new Overtaken(409, 'somebody else has published')
      return { message, document: (await press.reviewer.takeApart(document)) as DocumentParts }
    })
  } catch (error) {
    if (error instanceof Overtaken) return undefined
    throw error
  }
}

/** What is newer holds for long. */
class Overtaken extends Problem {}

/**
 * Does something now, and again and again, with a pause in between that is never twice the same.
 *
 * @param failed told when it could not be done; it is tried again all the same
 * @returns ends it
 */
export function repeat(
  task: () => Promise<unknown>,
  failed: (error: unknown) => void,
  every_ms = LOOK_EVERY_MS,
): () => void {
  let timer: NodeJS.Timeout | undefined
  let ended = false
  const run = async () => {
    await task().catch((error) => ended || failed(error))
    if (!ended) timer = setTimeout(run, every_ms * (0.5 + Math.random() / 2)).unref()
  }
  void run()
  return () => {
    ended = true
    clearTimeout(timer)
  }
}
