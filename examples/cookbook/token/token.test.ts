import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { plugin_app } from 'dynacode/testing'
import request from 'supertest'
import { expect, test } from 'vitest'

async function start(secrets: object = { token: 's3cret' }) {
  const app = await plugin_app(import.meta.dirname, {
    globals: { secrets },
    app: (ctx) => {
      ctx.body = `app: ${ctx.url}`
    },
  })
  const get = (path: string, headers: Record<string, string> = {}) =>
    request(app.callback())
      .get(path)
      .set({ Host: 'shop.example.com', ...headers })
  return { app, get }
}

test('the token in the query lets in and sets a cookie; the app does not see it', async () => {
  const { get } = await start()
  const { headers } = await get('/items?page=2&token=s3cret').expect(200, 'app: /items?page=2')
  expect(headers['set-cookie']).toEqual(['token=s3cret; path=/; samesite=lax; httponly'])
})

test('the cookie lets in and is not set anew', async () => {
  const { get } = await start()
  const { headers } = await get('/items?page=2', { Cookie: 'token=s3cret' }).expect(200, 'app: /items?page=2')
  expect(headers).not.toHaveProperty('set-cookie')
})

test.each(['/', '/?token=', '/?token=s3cre', '/?token=s3cret&token=s3cret', '/?token[]=s3cret'])(
  '%s lets nobody in',
  async (path) => {
    const { get } = await start()
    const { headers } = await get(path).expect(403, 'a token, please\n')
    expect(headers).not.toHaveProperty('set-cookie')
  },
)

test('a wrong token in the query counts, whatever the cookie is', async () => {
  const { get } = await start()
  await get('/?token=guess', { Cookie: 'token=s3cret' }).expect(403)
})

test.each([{}, { token: '' }, { token: undefined }])(
  'nobody gets in where the app has no token: %j',
  async (secrets) => {
    const { app, get } = await start(secrets)
    await get('/').expect(503)
    await get('/?token=').expect(503)
    await get('/?token=undefined').expect(503)
    expect(app.events_of('rt_plugins_error').map(({ outcome }) => outcome)).toEqual(['closed', 'closed', 'closed'])
  },
)

test('the health check and other hosts need no token', async () => {
  const { get } = await start()
  await get('/health').expect(200, 'app: /health')
  await get('/', { Host: 'other.example.com' }).expect(200, 'app: /')
})

test('no event has the token', async () => {
  const { app, get } = await start()
  await get('/?token=s3cret')
  await get('/?token=guess')
  await app.settled()
  expect(app.events_of('rt_plugins_done')).toHaveLength(2)
  expect(JSON.stringify(app.events)).not.toMatch(/s3cret|guess/)
})

test('in shadow mode it tells whom it would keep out, and lets them in', async () => {
  const { app, get } = await start()
  const code = readFileSync(join(import.meta.dirname, 'token.js'), 'utf8')
  await app.document({ phase: 'access', code, mode: 'shadow', on_failure: 'closed' })
  await get('/').expect(200, 'app: /')
  await get('/?token=s3cret').expect(200, 'app: /?token=s3cret')
  await app.settled()
  const told = app.events_of('rt_plugins_shadow').map(({ effects }) => effects.join(', '))
  expect(told).toEqual([expect.stringContaining('exit 403'), expect.not.stringContaining('exit')])
})
