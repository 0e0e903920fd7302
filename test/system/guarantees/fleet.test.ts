import { expect, onTestFinished, test } from 'vitest'
import { createRandom } from '../../chaos/random.ts'
import { rates, simulateFleet } from '../../fleet/simulation.ts'

test('G27 keeps 5 000 pollers that were started together apart, from the second interval on and after an outage of ten minutes', async () => {
  const { random } = Math
  onTestFinished(() => {
    Math.random = random
  })
  for (const seed of [1, 2, 3]) {
    // Chance that can be had again: with any other, one run in a thousand or so is over a bound.
    Math.random = createRandom(seed).next
    const arrivals = await simulateFleet({ pollers: 5000, interval: 30, outage_from: 300, outage_to: 900, end: 1500 })
    expect(arrivals[0]).toBeGreaterThanOrEqual(5000)
    expect(rates(arrivals, 30, 300).ratio).toBeLessThanOrEqual(1.5)
    // Nor does the outage itself bring anything like a stampede.
    expect(rates(arrivals, 330, 900).ratio).toBeLessThanOrEqual(2)
    expect(rates(arrivals, 900, 1500).ratio).toBeLessThanOrEqual(1.5)
    // Nobody was lost on the way, and nobody polls more than it should.
    expect(rates(arrivals, 1000, 1500).mean).toBeGreaterThan(5000 / 33)
    expect(rates(arrivals, 1000, 1500).mean).toBeLessThan(5000 / 30)
  }
})
