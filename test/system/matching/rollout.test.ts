import type { Context } from 'koa'
import { describe, expect, test } from 'vitest'
import { createDraw } from '../../../lib/matching/request-key.ts'
import { createShare, type Share } from '../../../lib/matching/rollout.ts'
import { resultOf, runChild } from '../../fixtures/child.ts'

const share = (fields: Partial<Share> = {}) =>
  createShare({ by: 'header:x-user', from: 0, to: 10, salt: 'banner', ...fields }, createDraw())
/** Not a whole request: there are thousands of them. */
const requestOf = (user: string) => ({ req: { headers: { 'x-user': user } } }) as unknown as Context

describe('the same keys are in', () => {
  const script = `
    import { createDraw } from './lib/matching/request-key.ts'
    import { createShare } from './lib/matching/rollout.ts'
    const isIn = createShare({ by: 'header:x-user', from: 0, to: 25, salt: 'banner' }, createDraw())
    const users = Array.from({ length: 2000 }, (_, index) => 'user-' + index + '-é')
    console.log(JSON.stringify(users.filter((user) => isIn({ req: { headers: { 'x-user': user } } }))))`

  test('in every process', async () => {
    const [one, other] = (
      await Promise.all([0, 1].map(() => runChild(script, { prelude: false, flags: ['--import', 'tsx'] })))
    ).map(resultOf)
    const here = Array.from({ length: 2000 }, (_, index) => `user-${index}-é`).filter((user) =>
      share({ to: 25 })(requestOf(user)),
    )
    expect(here.length).toBeGreaterThan(400)
    expect([one, other]).toEqual([here, here])
  })
})
