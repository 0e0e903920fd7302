import { describe, expect, test } from 'vitest'
import { createHostMemory } from '../../lib/matching/host-memory.ts'

function setup() {
  // The clock may have begun at any time.
  const clock = { now: 1e9 }
  const memory = createHostMemory<string>(() => clock.now)
  /** Asks for a host as a request does; tells whether it was known. */
  const ask = (name: string): boolean => {
    const known = memory.get(name) === name
    if (!known) memory.offer(name, name)
    return known
  }
  return { clock, memory, ask }
}

const hosts = Array.from({ length: 1000 }, (_, index) => `used-${index}.com`)

describe('the memory of hosts', () => {
  test.each([1, 2, 4])(
    'keeps 1,000 hosts in use through 100,000 random ones that are asked for %d times each',
    (times) => {
      const { ask } = setup()
      for (let round = 0; round < 6; round += 1) hosts.forEach(ask)
      let forgotten = 0
      for (let index = 0; index < 100_000; index += 1) {
        for (let time = 0; time < times; time += 1) ask(`random-${index}.com`)
        if (index % 10_000 === 0) forgotten += hosts.filter((host) => !ask(host)).length
      }
      expect(forgotten).toBe(0)
    },
  )

  test('keeps them when the random ones were first', () => {
    const { ask } = setup()
    for (let index = 0; index < 20_000; index += 1) ask(`random-${index}.com`)
    for (let round = 0; round < 6; round += 1) hosts.forEach(ask)
    for (let index = 0; index < 20_000; index += 1) ask(`more-${index}.com`)
    expect(hosts.filter((host) => !ask(host))).toEqual([])
  })

  test('is bounded', () => {
    const { memory, ask } = setup()
    for (let index = 0; index < 20_000; index += 1) ask(`random-${index}.com`)
    expect([...memory.values()]).toHaveLength(4096)
  })

  test('gives the place of a host that is out of use to one in use, however much the other was asked for', () => {
    const { clock, ask } = setup()
    const ids = Array.from({ length: 4096 }, (_, index) => `old-${index}.com`)
    for (let round = 0; round < 100; round += 1) ids.forEach(ask)
    const asNew = () => Array.from({ length: 5 }, () => ask('new.com')).at(-1)
    expect(asNew()).toBe(false)
    clock.now += 20 * 60_000
    asNew()
    expect(asNew()).toBe(true)
  })
})
