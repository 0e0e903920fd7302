import { expect, it } from 'vitest'
import { resultOf, runChild } from '../../fixtures/child.ts'

const CHANGES = 600

it('plugins that change again and again, and leave timers and functions behind, leave no memory behind', async () => {
  const ended = await runChild(
    `
    const code = 'const f = async (x) => { for (let i = 0; i < 3; i++) x += i; return x };' +
      'setTimeout(() => {}, 1e6); setInterval(() => {}, 1e6); const kept = "' + 'x'.repeat(2000) + '"; ctx.state.x = await f(kept)'
    const change = (n) => ({ domains: [{ name: '*', plugins: ['access', 'header_filter', 'body_filter', 'log']
      .map((phase) => ({ name: phase, phase, code: '// ' + n + '\\n' + code })) }] })
    const state = await start({ document: change(0), compile_cache_max: 20 })
    const heap = async () => { await sleep(20); gc(); gc(); return process.memoryUsage().heapUsed }
    let before
    for (let n = 1; n <= ${CHANGES}; n++) {
      state.document = change(n)
      await state.dyna.refresh()
      if (n % 3 === 0) await get(state)
      if (n === 100) before = await heap()
    }
    const after = await heap()
    const handles = process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
    console.log(JSON.stringify({ growth: after / before, handles, failed: state.failed.length }))
    process.exit()
    `,
    { flags: ['--expose-gc', '--max-old-space-size=64'] },
  )
  const { growth, handles, failed } = resultOf(ended)
  expect(growth).toBeLessThan(1.1)
  expect(handles).toBeLessThan(10)
  expect(failed).toBe(0)
})
