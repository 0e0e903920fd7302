import { expect, test } from 'vitest'
import { countShadowRuns } from '../server/fleet/shadow-runs.ts'

const received_at = new Date(0)
const instance = (id: string, plugins: unknown) => ({
  id,
  host: 'web',
  pid: 1,
  received_at,
  shadows: JSON.stringify(plugins),
})
const row = (name: string, shadow_runs: number, others: object = {}) => ({
  domain: '*',
  name,
  phase: 'access',
  calls: 0,
  shadow_runs,
  ...others,
})

test('adds up what instances would have done, and says of which instance it is', async () => {
  const exits = { shadow_exits: 2, shadow_changes: 1, shadow_errors: 0 }
  const found = await countShadowRuns(
    [
      [
        instance('a', [row('block', 3, exits), row('live', 0)]),
        instance('b', [row('block', 4, exits), row('other', 9)]),
      ],
    ],
    {},
  )
  expect(found).toMatchObject([
    { plugin: 'other', runs: 9, exits: 0, instances: [{ id: 'b' }] },
    {
      plugin: 'block',
      runs: 7,
      exits: 4,
      changes: 2,
      errors: 0,
      instances: [
        { id: 'a', runs: 3 },
        { id: 'b', runs: 4 },
      ],
    },
  ])
  expect(await countShadowRuns([[instance('a', [row('a', 1), row('b', 1)])]], { plugin: 'b' })).toMatchObject([
    { plugin: 'b' },
  ])
})

test.each([null, {}, [null], [{ shadow_runs: 'many' }], [row('x', -1)]])('takes %j for nothing', async (plugins) => {
  expect(await countShadowRuns([[instance('a', plugins)]], {})).toEqual([])
})
