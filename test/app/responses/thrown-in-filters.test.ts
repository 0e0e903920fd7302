import { expect, it } from 'vitest'
import { plugin, startApp } from '../../fixtures/app.ts'

it.each([
  ['a later header filter', plugin('header_filter', `if (ctx.path === '/no') ctx.throw(418)`, { name: 'thrower' })],
  ['a later header filter that awaits', plugin('header_filter', `await null; ctx.assert(ctx.path !== '/no', 418)`)],
  ['a body filter', plugin('body_filter', `if (ctx.path === '/no') ctx.throw(418)`)],
  [
    'code that may do anything',
    plugin('header_filter', `const c = ctx; if (c.path === '/no') c.throw(418)`, { name: 'thrower' }),
  ],
])(
  'what header filters wrote goes into the answer to what %s throws, and what the app wrote does not',
  async (_, thrower) => {
    const plugins = [
      plugin('header_filter', `ctx.set('X-A', '1')`, { name: 'a', priority: 2 }),
      plugin('header_filter', `if (ctx.path === '/other') ctx.set('X-App', '2')`, { name: 'b', priority: 1 }),
      thrower,
    ]
    const { request } = await startApp({
      plugins,
      inner(ctx) {
        ctx.set('X-App', '1')
        ctx.body = 'app'
      },
    })
    const good = await request.get('/')
    expect([good.status, good.headers['x-a'], good.headers['x-app']]).toEqual([200, '1', '1'])
    const bad = await request.get('/no')
    expect([bad.status, bad.headers['x-a'], bad.headers['x-app']]).toEqual([418, '1', undefined])
  },
)
