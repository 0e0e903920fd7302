import { DocumentError } from '../../errors.ts'
import type { ExpressionIndex } from '../../matching/expression-index.ts'

/** How many expressions may have to be tried for one unknown host: a tenth of a millisecond, where they are simple. */
export const MOST_ALIKE_EXPRESSIONS = 300

/**
 * Checks that nobody can have a host cost much by making it up. Which of the expressions are tried in vain cannot be left
 * out, or late: a plugin that lets nobody in would be passed.
 *
 * @throws DocumentError when more expressions than these are told from each other by no text of their own
 */
export function checkAlikeExpressions({ alike }: ExpressionIndex, most = MOST_ALIKE_EXPRESSIONS): void {
  const last = alike.at(-1)
  if (alike.length <= most || last === undefined) return
  const message = `expected at most ${most} expressions without fixed text of their own (max_alike_expressions), got ${alike.length}: all of them are tried for each host that is not known yet; /${last.source.slice(0, 100)}/ is one of them`
  throw new DocumentError('domains', message)
}
