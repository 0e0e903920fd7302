import { plugin_app } from 'dynacode/testing'
import request from 'supertest'
import { expect, test } from 'vitest'

/** An app whose new implementation may be broken, at a time in the second step. */
async function start(broken: { new: boolean; old?: boolean }) {
  const app = await plugin_app(import.meta.dirname, {
    now: '2030-01-31T09:00:00Z',
    app: (ctx) => {
      const is_new = ctx.path === '/api/v2/prices'
      ctx.status = (is_new ? broken.new : broken.old) ? 503 : 200
      ctx.body = is_new ? 'new' : 'old'
    },
  })
  const listener = app.callback()
  const visitors = [app.rollout_key('new prices'), app.rollout_key('new prices', { inside: false })]
  /** Both visitors, one after the other, so many times; gives back the last answers. */
  const visit = async (times: number) => {
    let answers: string[] = []
    for (let time = 0; time < times; time += 1) {
      answers = []
      for (const visitor of visitors) {
        const answer = await request(listener)
          .get('/api/prices?of=1')
          .set({ Host: 'shop.example.com', Cookie: `visitor=${visitor}` })
        answers.push(`${answer.status} ${answer.text}`)
      }
    }
    return answers
  }
  return { app, visit }
}

test('a share of the visitors gets the new implementation, and keeps it while it works', async () => {
  const { app, visit } = await start({ new: false })
  expect(await visit(40)).toEqual(['200 new', '200 old'])
  expect(app.events_of('rt_rollout_stopped')).toEqual([])
  app.set_time('2030-01-31T10:30:00Z')
  expect(await visit(1)).toEqual(['200 new', '200 new'])
})

test('one that answers 5xx takes itself back', async () => {
  const { app, visit } = await start({ new: true })
  expect(await visit(60)).toEqual(['200 old', '200 old'])
  const [stop] = app.events_of('rt_rollout_stopped')
  expect(stop).toMatchObject({ condition: 'status_5xx_rate', above_control: true, control: { status_5xx: 0 } })
  expect(stop?.inside.status_5xx).toBeLessThan(40)
})

test('an outage that both have is no reason to', async () => {
  const { app, visit } = await start({ new: true, old: true })
  await visit(60)
  expect(app.events_of('rt_rollout_stopped')).toEqual([])
})

test('before it starts, everybody gets the old one', async () => {
  const { app, visit } = await start({ new: true })
  app.set_time('2030-01-31T07:00:00Z')
  expect(await visit(1)).toEqual(['200 old', '200 old'])
})
