import { expect, test } from 'vitest'
import { checkAlikeExpressions } from '../../../lib/background/reading/alike-expressions.ts'
import { DocumentError } from '../../../lib/errors.ts'
import type { ExpressionIndex } from '../../../lib/matching/expression-index.ts'

const indexOf = (...alike: RegExp[]) => ({ alike }) as unknown as ExpressionIndex

test('expressions without fixed text of their own may be as many as allowed', () => {
  for (const alike of [[], [/a/], [/a/, /b/]]) expect(() => checkAlikeExpressions(indexOf(...alike), 2)).not.toThrow()
  expect(() => checkAlikeExpressions(indexOf(), 0)).not.toThrow()
})

test('one more is refused, and one of them is named, in part where it is long', () => {
  const long = new RegExp('a'.repeat(200))
  const refusal = () => checkAlikeExpressions(indexOf(/a/, /b/, long), 2)
  expect(refusal).toThrow(DocumentError)
  expect(refusal).toThrow(
    `domains: expected at most 2 expressions without fixed text of their own (max_alike_expressions), got 3: all of them are tried for each host that is not known yet; /${'a'.repeat(100)}/ is one of them`,
  )
})
