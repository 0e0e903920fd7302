import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { type PluginFields, startApp } from '../../fixtures/app.ts'

/** An app with a plugin that counts as long as it lives. */
async function counting(code: string) {
  const counter = { value: 0 }
  const plugin: PluginFields = { name: 'counting', phase: 'access', code }
  const started = await startApp({ plugins: [plugin], options: { globals: { counter } } })
  await started.request.get('/').expect(200)
  await expect.poll(() => counter.value).toBeGreaterThan(2)
  return { ...started, counter }
}

describe('what a run leaves running', () => {
  test.each([
    ['an interval', 'setInterval(() => { counter.value += 1 }, 1)'],
    ['a timeout that starts the next one', 'const again = () => { counter.value += 1; setTimeout(again, 1) }; again()'],
    [
      'an immediate that starts the next one',
      'const again = () => { counter.value += 1; setImmediate(again) }; again()',
    ],
    [
      'an async loop that nobody waits for',
      `(async () => { for (;;) { counter.value += 1; await new Promise((resolve) => setTimeout(resolve, 1)) } })()`,
    ],
  ])('ends with the plugin: %s', async (_, code) => {
    const { counter, serve, request } = await counting(code)
    await serve({ domains: [] })
    const { value } = counter
    await sleep(30)
    expect(counter.value).toBe(value)
    await request.get('/').expect(200)
    await sleep(30)
    expect(counter.value).toBe(value)
  })
})
