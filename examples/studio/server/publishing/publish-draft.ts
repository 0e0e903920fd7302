import type { Actor } from '../auth/actor.ts'
import { Problem } from '../problem.ts'
import type { DocumentParts } from '../review/document-parts.ts'
import type { Live } from './documents.ts'
import type { Press } from './press.ts'
import { publish } from './publish.ts'
import type { Version } from './versions.ts'

/** @throws Problem when another version is live than was looked at */
export function demandBase({ version }: Live, base: number): void {
  if (version === base) return
  const text = `version ${version} was published since you looked at the differences; review them again`
  throw new Problem(409, text, { current: { version } })
}

/** What was looked at before it is published. */
export interface Seen {
  readonly message: string
  /** The version that the differences were to. */
  readonly base: number
  /** The draft's revision, where the publisher says it. */
  readonly revision?: number | undefined
}

/** @throws Problem when the draft is not what was looked at any more */
export function demandRevision(revision: number, seen: number | undefined): void {
  if (seen === undefined || seen === revision) return
  throw new Problem(409, 'the draft was changed since you looked at the differences; review them again', {
    current: { revision },
  })
}

/**
 * Publishes the draft.
 *
 * @throws Problem when somebody has published since, nothing is different, or the checks find errors
 */
export function publishDraft(press: Press, actor: Actor, { message, base, revision }: Seen): Promise<Version> {
  return publish(press, actor, 'publish', async (live) => {
    demandBase(live, base)
    const document = await press.documents.draft()
    demandRevision(document.revision, revision)
    return { message, document }
  })
}

/**
 * Publishes what an earlier version had, under a new number: versions only grow. The draft stays as it is.
 *
 * @throws Problem
 */
export function rollBack(press: Press, actor: Actor, version: number): Promise<Version> {
  return publish(press, actor, 'rollback', async () => {
    const document = await press.reviewer.takeApart(await press.documents.textOf(version))
    return { message: `back to version ${version}`, document: document as DocumentParts }
  })
}
