import type { LiveAnswers, LiveQuestion } from '../review/live-index.ts'
import type { Reviewer } from '../review/reviewer.ts'
import type { Live } from './documents.ts'

/** Asks the thread that reads what is live; it gets the document only if it does not have this version yet. */
export async function askLive<Q extends LiveQuestion>(
  reviewer: Reviewer,
  { version, document }: Live,
  question: Q,
): Promise<LiveAnswers[Q['about']]> {
  type Answer = LiveAnswers[Q['about']]
  return ((await reviewer.askLive(question, version)) ??
    (await reviewer.askLive(question, version, document))) as Answer
}
