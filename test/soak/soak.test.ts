import { expect, test } from 'vitest'
import { soak } from './soak.ts'
import { judge } from './verdict.ts'

// The short form of `npm run test:soak`.
test('a soak finds what a real process leaks', async () => {
  const plan = { seed: 1, seconds: 6, every_ms: 50, stretches: 3, connections: 4, made_up_hosts: 0 }
  const faults = judge(await soak({ ...plan, leak: 'handles' }))
  expect(faults.join('\n')).toMatch(/handles were .* at first/)
})
