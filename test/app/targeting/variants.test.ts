import { describe, expect, test } from 'vitest'
import { everywhere, exchange, startApp } from '../../fixtures/app.ts'
import { payloadsOf, record } from '../../fixtures/instance.ts'

const USERS = Array.from({ length: 300 }, (_, index) => `user-${index}`)

/** A variant that says on the response that it ran. */
const variant = (name: string, percent: number, code = `ctx.append('X-Variant', '${name}')`) => ({
  name,
  percent,
  code,
})
const price = (variants: readonly object[], fields: object = {}) =>
  ({
    name: 'price',
    phase: 'header_filter',
    rollout: { by: 'header:x-user' },
    variants,
    ...fields,
  }) as never
const whole = (code: string, fields: object = {}) =>
  ({ name: 'price', phase: 'header_filter', code, ...fields }) as never

type App = Awaited<ReturnType<typeof startApp>>

/** Which variants each user gets: none is ''. */
async function ask({ port }: App): Promise<string[]> {
  const requests = USERS.map((user) => `GET / HTTP/1.1\r\nHost: a\r\nX-User: ${user}\r\n`)
  // All of them over one connection: that takes milliseconds.
  const sent = `${requests.join('\r\n')}Connection: close\r\n\r\n`
  const answers = (await exchange(port, sent)).split('HTTP/1.1 200 OK\r\n').slice(1)
  expect(answers).toHaveLength(USERS.length)
  return answers.map((answer) => /^x-variant: (.*)\r$/im.exec(answer)?.[1] ?? '')
}
const count = (answers: readonly string[], wanted: string) => answers.filter((answer) => answer === wanted).length

describe('a share of the traffic', () => {
  const rollout = (percent: number) =>
    everywhere([whole(`ctx.append('X-Variant', 'in')`, { rollout: { percent, by: 'header:x-user' } })])

  test('is the same users at each request, and in another instance', async () => {
    const one = await startApp({ document: rollout(30) })
    const other = await startApp({ document: rollout(30) })
    const answers = await ask(one)
    expect(count(answers, 'in')).toBeGreaterThan(60)
    expect(count(answers, 'in')).toBeLessThan(120)
    expect([await ask(one), await ask(other)]).toEqual([answers, answers])
  })

  test('that grows only adds users, and one that shrinks takes the last ones first', async () => {
    const app = await startApp({ document: rollout(0) })
    const members: Set<string>[] = []
    for (const percent of [0, 1, 10, 50, 100, 50, 10, 0]) {
      await app.serve(rollout(percent))
      const answers = await ask(app)
      members.push(new Set(USERS.filter((_, index) => answers[index] === 'in')))
    }
    const [none, one, ten, half, all] = members as [Set<string>, Set<string>, Set<string>, Set<string>, Set<string>]
    expect([none.size, all.size]).toEqual([0, USERS.length])
    expect([...one].every((user) => ten.has(user)) && [...ten].every((user) => half.has(user))).toBe(true)
    expect([members[5], members[6], members[7]]).toEqual([half, ten, none])
  })

  test('is nobody who has no such key, until it is everybody', async () => {
    const app = await startApp({ document: rollout(99) })
    expect((await app.request.get('/')).headers).not.toHaveProperty('x-variant')
    await app.serve(rollout(100))
    await app.request.get('/').expect('X-Variant', 'in')
  })
})

describe('variants', () => {
  test('have each user once, and each about as many as it says', async () => {
    const app = await startApp({ plugins: [price([variant('old', 50), variant('new', 30), variant('none', 20)])] })
    const answers = await ask(app)
    expect(count(answers, 'old') + count(answers, 'new') + count(answers, 'none')).toBe(USERS.length)
    expect(Math.abs(count(answers, 'old') - 150)).toBeLessThan(40)
    expect(Math.abs(count(answers, 'new') - 90)).toBeLessThan(40)
    expect(await ask(app)).toEqual(answers)
  })

  test('have each request once where chance decides', async () => {
    const halves = [variant('a', 50), variant('b', 50)]
    const app = await startApp({ plugins: [price(halves, { rollout: { by: 'random' } })] })
    const answers = await ask(app)
    expect(count(answers, 'a') + count(answers, 'b')).toBe(USERS.length)
    expect(Math.abs(count(answers, 'a') - 150)).toBeLessThan(50)
  })

  test('leave over what they do not add up to', async () => {
    const app = await startApp({ plugins: [price([variant('old', 20), variant('new', 20)])] })
    expect(Math.abs(count(await ask(app), '') - 180)).toBeLessThan(45)
  })

  test('are told apart in events and status', async () => {
    const app = await startApp({ plugins: [price([variant('old', 0), variant('new', 100)])] })
    const seen = record(app.dyna, ['rt_plugins_done'])
    await app.request.get('/').set('X-User', 'ann')
    expect(payloadsOf(seen, 'rt_plugins_done').map(({ plugin }) => plugin.name)).toEqual(['price/new'])
    expect(app.dyna.status().plugins.map(({ name, state }) => [name, state])).toEqual([
      ['price/old', 'live'],
      ['price/new', 'live'],
    ])
  })

  describe('of which one does not compile', () => {
    const GOOD = [variant('old', 50), variant('new', 50)]
    const brokenWith = (old: number) => [
      variant('old', old, `ctx.append('X-Variant', 'old 2')`),
      variant('new', 100 - old, 'broken('),
    ]

    test.each([90, 50, 10])(
      'all stay as they were, nobody is in two or none: %d percent for the other',
      async (old) => {
        const app = await startApp({ plugins: [price(GOOD)] })
        const before = await ask(app)
        expect(count(before, 'old') + count(before, 'new')).toBe(USERS.length)
        const seen = record(app.dyna)
        await app.serve(everywhere([price(brokenWith(old))]))
        expect(await ask(app)).toEqual(before)
        expect(payloadsOf(seen, 'bg_compile_error')).toMatchObject([
          { plugin: { name: 'price/new' }, kept_last_good: true },
        ])
        expect(app.dyna.status().plugins).toMatchObject([
          { name: 'price/old', state: 'last_good', error: expect.stringContaining('price/new') },
          { name: 'price/new', state: 'last_good', error: expect.stringContaining('price/new') },
        ])
        await app.serve(everywhere([price([variant('old', 0), variant('new', 100)])]))
        expect(count(await ask(app), 'new')).toBe(USERS.length)
      },
    )

    test('leave the one plugin that was there before', async () => {
      const app = await startApp({ plugins: [whole(`ctx.append('X-Variant', 'one')`)] })
      await app.serve(everywhere([price(brokenWith(50))]))
      expect(count(await ask(app), 'one')).toBe(USERS.length)
    })

    test('are there without it where there was nothing before', async () => {
      const app = await startApp({ plugins: [price(brokenWith(50))] })
      const answers = await ask(app)
      expect(new Set(answers)).toEqual(new Set(['old 2', '']))
      expect(app.dyna.status().plugins).toMatchObject([
        { name: 'price/old', state: 'live' },
        { name: 'price/new', state: 'refused' },
      ])
    })

    test('come back from one plugin, and that from them', async () => {
      const app = await startApp({ plugins: [price(GOOD)] })
      const before = await ask(app)
      await app.serve(everywhere([whole('broken(')]))
      expect(await ask(app)).toEqual(before)
      await app.serve(everywhere([whole(`ctx.append('X-Variant', 'one')`)]))
      expect(count(await ask(app), 'one')).toBe(USERS.length)
    })
  })
})
