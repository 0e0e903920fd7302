import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { findDifferences, nameOf } from './compare.ts'
import { DEVIATIONS, type Deviation } from './deviations.ts'
import { startTwins, type Twins } from './servers.ts'
import { SITUATIONS, type Situation } from './situations.ts'

const PROTOCOLS = ['HTTP/1.0', 'HTTP/1.1', 'HTTP/2'] as const
/** What counts as hanging where Koa does so. */
const PATIENCE_MS = 700
/** What plugins may fail with: a body that cannot be filtered counts as a failure of each of its filters. */
const UNFILTERABLE =
  /body_filter failed: a (part of a body \(206\) cannot be filtered|body cannot be filtered whose length)/

let running: Twins
const used = new Set<Deviation>()

beforeAll(async () => {
  running = await startTwins((ctx) => (SITUATIONS[nameOf(ctx)] as Situation).app(ctx) as Promise<void>)
})
afterAll(() => running.close())

describe('plugins that change nothing leave an app as it is without dynacode', () => {
  test.each(Object.keys(SITUATIONS))('%s', async (name) => {
    const { ask = {}, only, hangs } = SITUATIONS[name] as Situation
    const given = hangs === undefined ? ask : { ...ask, patience_ms: PATIENCE_MS }
    const path = `/${encodeURIComponent(name)}`
    const found = await findDifferences(running.twins, path, given, only === undefined ? PROTOCOLS : [only])
    const unexpected = found.filter((difference) => {
      const known = DEVIATIONS.find(({ covers }) => covers(name, difference))
      if (known !== undefined) used.add(known)
      return known === undefined
    })
    expect(unexpected).toEqual([])
    expect(running.failures.splice(0).filter((failure) => !UNFILTERABLE.test(failure))).toEqual([])
  })

  test('every documented deviation is one still, and its page tells of it', () => {
    expect(DEVIATIONS.filter((deviation) => !used.has(deviation))).toEqual([])
    for (const { documented } of DEVIATIONS) {
      const page = readFileSync(join(import.meta.dirname, '../../..', documented), 'utf8')
      expect(page).toContain('### What plugins that change nothing change')
    }
  })
})
