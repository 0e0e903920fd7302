// What holds for all recipes: whoever they are not for gets what the app answers, to the byte.
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { plugin_app } from 'dynacode/testing'
import type { Context } from 'koa'
import request from 'supertest'
import { describe, expect, test } from 'vitest'

const recipes = readdirSync(import.meta.dirname, { withFileTypes: true }).flatMap((entry) =>
  entry.isDirectory() ? [entry.name] : [],
)
const globals = {
  secrets: { token: 's3cret' },
  server: 'web-1',
  upstreams: { canary: 'http://127.0.0.1:1', mirror: 'http://127.0.0.1:1' },
}

function answer(ctx: Context) {
  if (ctx.path === '/error') throw Object.assign(new Error('oops'), { status: 500 })
  ctx.set('X-App', 'yes')
  ctx.type = 'text'
  ctx.body = ctx.path === '/stream' ? Readable.from(['chunk ', 'by ', 'chunk']) : `${ctx.method} ${ctx.url}`
}

async function start(recipe: string) {
  const app = await plugin_app(join(import.meta.dirname, recipe), {
    globals,
    app: answer,
    now: '2029-01-01T00:00:00Z',
  })
  app.proxy = true
  return { app, client: request(app.callback()) }
}

describe.each(recipes)('%s', (recipe) => {
  test('leaves other hosts as they are', async () => {
    const { app, client } = await start(recipe)
    for (const host of ['other.example.com', 'xshop.example.com', 'shop.example.com.evil.example.net']) {
      const at = { Host: host }
      const { headers } = await client.get('/old?token=1').set(at).expect(200, 'GET /old?token=1')
      expect(Object.keys(headers).sort()).toEqual(
        ['connection', 'content-length', 'content-type', 'date', 'x-app'].sort(),
      )
    }
    expect(app.events.filter(({ name }) => name.startsWith('rt_'))).toEqual([])
  })

  test('leaves whom it is not for alone: streams, HEAD, bodies and errors of the app', async () => {
    const { app, client } = await start(recipe)
    const at = { Host: 'shop.example.com', 'X-Forwarded-For': '10.0.0.9', Cookie: 'token=s3cret', 'User-Agent': 'test' }
    await client.get('/a?b=1').set(at).expect(200, 'GET /a?b=1').expect('X-App', 'yes')
    await client.get('/stream').set(at).expect(200, 'chunk by chunk')
    await client.head('/a').set(at).expect(200).expect('Content-Length', '7')
    await client.post('/a').set(at).send('data').expect(200, 'POST /a')
    await client.get('/error').set(at).expect(500, 'Internal Server Error')
    await app.settled()
    expect(app.errors).toMatchObject([{ message: 'oops' }])
    // One in ten goes to the mirror, of which there is none here.
    const failed = app.events_of('rt_plugins_error').filter(({ plugin }) => plugin.name !== 'mirror')
    expect(failed).toEqual([])
  })
})
