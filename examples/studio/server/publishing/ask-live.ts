import type { LiveAnswer, LiveQuestion } from '../review/live-index.ts'
import type { Reviewer } from '../review/reviewer.ts'
import type { Live } from './documents.ts'

/** Asks the thread that reads what is live; it gets the document only if it does not have this version yet. */
export async function askLive<T extends LiveAnswer>(
  reviewer: Reviewer,
  { version, document }: Live,
  question: LiveQuestion,
): Promise<T> {
  return ((await reviewer.askLive(question, version)) ?? (await reviewer.askLive(question, version, document))) as T
}
