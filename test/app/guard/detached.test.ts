import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it, vi } from 'vitest'
import { everywhere, failures, plugin, startApp } from '../../fixtures/app.ts'

describe('a flood of errors that a run leaves behind', () => {
  it.each([
    ['rejections', 'for (let n = 0; n < 500; n++) Promise.reject(new Error("X"))'],
    ['errors in microtasks', 'for (let n = 0; n < 500; n++) queueMicrotask(() => { throw new Error("X") })'],
    ['errors in timers', 'for (let n = 0; n < 500; n++) setTimeout(() => { throw new Error("X") }, 1)'],
  ])('of %s is told of by a few of them, and each run’s by its own', async (_, code) => {
    const app = await startApp({
      plugins: [plugin('access', code)],
      options: { breaker_failures: 0, budget_ms: 5000 },
    })
    for (let run = 1; run <= 3; run += 1) {
      await app.request.get('/').expect(200, 'app')
      await sleep(30)
      expect(failures(app)).toHaveLength(10 * run)
    }
    expect(failures(app).map(({ error }) => (error as Error).message)).toEqual(Array(30).fill('X'))
  })

  it('does not silence the errors that come later', async () => {
    const code =
      'for (let n = 0; n < 50; n++) Promise.reject(new Error("X")); setTimeout(() => { throw new Error("later") }, 1100)'
    const app = await startApp({ plugins: [plugin('access', code)], options: { breaker_failures: 0 } })
    await app.request.get('/').expect(200, 'app')
    await vi.waitFor(() => expect(failures(app)).toHaveLength(11), { timeout: 5000 })
    expect(failures(app).at(-1)).toMatchObject({ error: { message: 'later' } })
  })
})

describe('timers of a plugin', () => {
  const counting = (name: string, interval = 2) => ({
    name,
    phase: 'access',
    code: `setInterval(() => { counter.${name} += 1 }, ${interval})`,
  })

  async function startCounting() {
    const counter: Record<string, number> = { a: 0, b: 0 }
    const app = await startApp({
      document: everywhere([counting('a'), counting('b')] as never),
      options: { globals: { counter } },
    })
    await app.request.get('/').expect(200)
    await vi.waitFor(() => expect(Math.min(counter.a as number, counter.b as number)).toBeGreaterThan(2))
    /** Which of the counters still go up. */
    const running = async () => {
      const before = { ...counter }
      await sleep(40)
      return Object.keys(counter).filter((name) => counter[name] !== before[name])
    }
    return { ...app, running }
  }

  it('go on while the plugin stays as it is', async () => {
    const app = await startCounting()
    await app.serve({ ...everywhere([counting('a'), counting('b')] as never), version: 2 })
    expect(await app.running()).toEqual(['a', 'b'])
  })

  it('end when the plugin is replaced', async () => {
    const app = await startCounting()
    await app.serve(everywhere([{ ...counting('a'), code: '// nothing' }, counting('b')] as never))
    expect(await app.running()).toEqual(['b'])
  })

  it('end when the plugin is removed', async () => {
    const app = await startCounting()
    await app.serve(everywhere([counting('b')] as never))
    expect(await app.running()).toEqual(['b'])
  })

  it.each([
    ['that starts itself again', 'const t = setTimeout(() => { counter.a += 1; t.refresh() }, 2)'],
    [
      'that each run clears and sets',
      'clearInterval(store.get("t")); store.set("t", setInterval(() => { counter.a += 1 }, 2))',
    ],
    ['that is kept by a name of the app', 'counter.timer ??= setInterval(() => { counter.a += 1 }, 2)'],
    ['that starts others', 'const f = () => setTimeout(() => { counter.a += 1; f() }, 2); f()'],
  ])('end when the plugin is replaced: one %s', async (_, code) => {
    const counter = { a: 0 }
    const app = await startApp({
      plugins: [{ name: 'a', phase: 'access', code }],
      options: { globals: { counter } },
    })
    for (let request = 0; request < 3; request += 1) await app.request.get('/').expect(200)
    await vi.waitFor(() => expect(counter.a).toBeGreaterThan(2))
    await app.serve(everywhere([{ name: 'a', phase: 'access', code: '// nothing' }]))
    const before = counter.a
    await sleep(40)
    expect(counter.a).toBe(before)
  })

  it('end when the instance is closed', async () => {
    const app = await startCounting()
    await app.dyna.close()
    expect(await app.running()).toEqual([])
  })

  it('end when the run that made them is stopped', async () => {
    const counter = { a: 0 }
    const app = await startApp({
      plugins: [
        plugin(
          'access',
          'setInterval(() => { counter.a += 1 }, 2); await new Promise((r) => setTimeout(r, 20)); for (;;);',
        ),
      ],
      options: { globals: { counter }, breaker_failures: 0 },
    })
    await app.request.get('/').expect(200)
    expect(failures(app)).toHaveLength(1)
    const { a } = counter
    await sleep(30)
    expect(counter.a).toBe(a)
  })

  it('that a request waits for are not cut when the plugin is replaced meanwhile, but those it leaves are', async () => {
    const counter = { a: 0 }
    const code =
      'setInterval(() => { counter.a += 1 }, 2); await new Promise((r) => setTimeout(r, 150)); ctx.set("x-slept", "1")'
    const app = await startApp({ plugins: [plugin('access', code)], options: { globals: { counter } } })
    const answer = app.request.get('/').then((response) => response)
    await vi.waitFor(() => expect(counter.a).toBeGreaterThan(1))
    await app.serve(everywhere([]))
    const { headers, status } = await answer
    expect([status, headers['x-slept']]).toEqual([200, '1'])
    expect(failures(app)).toEqual([])
    const { a } = counter
    await sleep(30)
    expect(counter.a).toBe(a)
  })

  it('that come after the end of their plugin never fire', async () => {
    const counter = { a: 0 }
    const code = 'await gate; setTimeout(() => { counter.a += 1 }, 1); setImmediate(() => { counter.a += 1 })'
    let open = () => {}
    const gate = new Promise<void>((resolve) => {
      open = resolve
    })
    const app = await startApp({ plugins: [plugin('log', code)], options: { globals: { counter, gate } } })
    await app.request.get('/').expect(200)
    await app.dyna.close()
    open()
    await sleep(30)
    expect(counter.a).toBe(0)
  })

  it('do not add up over many reloads', async () => {
    const count = () => process.getActiveResourcesInfo().filter((name) => /Timeout|Immediate/.test(name)).length
    const app = await startApp({ plugins: [] })
    const code = (version: number) =>
      `// ${version}\nsetInterval(() => {}, 1e6).ref(); setTimeout(() => {}, 1e6).ref(); setTimeout(() => {}, 1e6).ref()`
    await app.serve(everywhere([plugin('access', code(0))]))
    await app.request.get('/').expect(200)
    const before = count()
    for (let version = 1; version <= 30; version += 1) {
      await app.serve(everywhere([plugin('access', code(version))]))
      await app.request.get('/').expect(200)
    }
    expect(count()).toBeLessThanOrEqual(before + 2)
    await app.serve(everywhere([]))
    expect(count()).toBeLessThanOrEqual(before)
  })
})
