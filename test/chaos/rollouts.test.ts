import { expect, test } from 'vitest'
import { runRollouts } from './rollouts.ts'

// The short form of `npm run test:chaos -- --rollouts <plugins>`.
test('plugins of random badness, rolled out by schedule under load, take themselves back, and none that is sound', async () => {
  const { plugins, false_stops } = await runRollouts({ seed: 1, plugins: 8, requests: 600 })
  expect(false_stops).toBe(0)
  // One that harms one request in ten is not told for certain from one that may harm one in twenty, in so few runs.
  const bad = plugins.filter(({ rate }) => rate >= 0.2)
  expect(bad.length).toBeGreaterThan(2)
  for (const { stopped } of bad) expect(stopped).not.toBeNull()
  const sum = (counts: readonly number[]) => counts.reduce((total, count) => total + count, 0)
  expect(sum(bad.map(({ harmed }) => harmed)) * 3).toBeLessThan(sum(bad.map((one) => one.harmed_unguarded)))
})
