import { describe, expect, it } from 'vitest'
import { resultOf, runChild } from '../../fixtures/child.ts'

describe('expressions that backtrack', () => {
  it('end in linear time with linear_regexp, in the plugin and in the app', async () => {
    const ended = await runChild(`
      const code = 'const t = performance.now(); const found = /(a+)+$/.test("a".repeat(40) + "b"); ctx.set("x-found", String(found))'
      const state = await start({ linear_regexp: true, plugins: [{ name: 'slow', phase: 'access', code, budget_ms: 5000 }] })
      const { headers } = await get(state)
      const app = /(b+)+$/.test('b'.repeat(40) + 'c')
      console.log(JSON.stringify({ found: headers['x-found'], app, failed: state.failed }))
      process.exit()
    `)
    expect(resultOf(ended)).toEqual({ found: 'false', app: false, failed: [] })
  })
})
