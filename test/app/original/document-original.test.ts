import { describe, expect, test } from 'vitest'
import { type PluginFields, startApp } from '../../fixtures/app.ts'
import { payloadsOf, record } from '../../fixtures/instance.ts'

// The example of lua-resty-dynacode's README, its Lua code included.
const ORIGINAL = {
  general: { status: 'enabled', skip_domains: ['[\\w\\d\\.\\-]*server.local.com'] },
  domains: [
    {
      name: 'dynamic.local.com',
      plugins: [
        {
          name: 'dynamic content',
          code: 'ngx.say("olá mundo!")\r\nngx.say("hello world!")',
          phase: 'content',
        },
        {
          name: 'adding cors headers',
          code: 'ngx.header["Access-Control-Allow-Origin"] = "http://dynamic.local.com:9090"',
          phase: 'header_filter',
        },
        {
          name: 'authentication required',
          code: "local token = ngx.var.arg_token or ngx.var.cookie_superstition\r\n\r\nif token ~= 'token' then\r\n  return ngx.exit(ngx.HTTP_FORBIDDEN)\r\nelse\r\n  ngx.header['Set-Cookie'] = {'superstition=token'}\r\nend",
          phase: 'access',
        },
      ],
    },
  ],
}

/** The same in JavaScript. */
const CODE: Record<string, string> = {
  'dynamic content': "say('olá mundo!')\r\nsay('hello world!')",
  'adding cors headers': "ctx.set('Access-Control-Allow-Origin', 'http://dynamic.local.com:9090')",
  'authentication required':
    "const token = ctx.query.token ?? ctx.cookies.get('superstition')\r\n\r\nif (token !== 'token') {\r\n  exit(403)\r\n} else {\r\n  ctx.cookies.set('superstition', 'token')\r\n}",
}
const TRANSLATED = {
  general: ORIGINAL.general,
  domains: ORIGINAL.domains.map(({ name, plugins }) => ({
    name,
    plugins: plugins.map((plugin) => ({ ...plugin, code: CODE[plugin.name] }) as PluginFields),
  })),
}
const HINT = 'this looks like Lua for OpenResty; dynacode runs JavaScript: write it with ctx, exit() and say()'

describe('the original’s own document', () => {
  test('is read; each of its plugins is refused with a message that a person understands', async () => {
    const app = await startApp()
    const seen = record(app.dyna)
    app.api.serve(ORIGINAL)
    expect(await app.dyna.refresh()).toMatchObject({ updated: true, plugins: 0, failed: 3 })
    const refused = payloadsOf(seen, 'bg_compile_error')
    expect(
      refused.map(({ plugin, kept_last_good }) => [plugin.name, plugin.domain, plugin.phase, kept_last_good]),
    ).toEqual([
      ['dynamic content', 'dynamic.local.com', 'content', false],
      ['adding cors headers', 'dynamic.local.com', 'header_filter', false],
      ['authentication required', 'dynamic.local.com', 'access', false],
    ])
    expect(refused.map(({ error }) => error.message)).toEqual([
      `plugin "dynamic content": ${HINT}`,
      `plugin "adding cors headers": ${HINT}`,
      `plugin "authentication required":1:7: Unexpected token: 'identifier' (${HINT})`,
    ])
    expect(payloadsOf(seen, 'on_error')).toEqual([])
  })

  test('breaks nothing: requests reach the app', async () => {
    const { request } = await startApp({ document: ORIGINAL })
    await request.get('/').set('Host', 'dynamic.local.com').expect(200, 'app')
    await request.get('/').set('Host', 'metrics.server.local.com').expect(200, 'app')
  })

  test('leaves what ran before as it was, where it is taken for an update', async () => {
    const { request, serve } = await startApp({ document: TRANSLATED })
    await serve(ORIGINAL)
    await request
      .get('/')
      .set('Host', 'dynamic.local.com')
      .query({ token: 'token' })
      .expect(200, 'olá mundo!\nhello world!\n')
  })
})

describe('the same plugins in JavaScript', () => {
  const at = (host: string) => ({ Host: host })

  test('answer, set CORS headers and ask for a token', async () => {
    const { request } = await startApp({ document: TRANSLATED })
    const response = await request
      .get('/?token=token')
      .set(at('dynamic.local.com'))
      .expect(200, 'olá mundo!\nhello world!\n')
    expect(response.headers).toMatchObject({
      'access-control-allow-origin': 'http://dynamic.local.com:9090',
      'set-cookie': [expect.stringMatching(/^superstition=token;/)],
    })
    await request.get('/').set(at('dynamic.local.com:9090')).set('Cookie', 'superstition=token').expect(200)
  })

  test('let nobody in without the token, and set the CORS headers all the same', async () => {
    const { request } = await startApp({ document: TRANSLATED })
    const response = await request.get('/?token=guess').set(at('dynamic.local.com')).expect(403)
    expect(response.headers).toHaveProperty('access-control-allow-origin')
    expect(response.headers).not.toHaveProperty('set-cookie')
  })

  test('see neither other hosts nor those that are skipped', async () => {
    const { request, serve } = await startApp({ document: TRANSLATED })
    await request.get('/').set(at('other.local.com')).expect(200, 'app')
    const everyHost = { ...TRANSLATED, domains: TRANSLATED.domains.map((domain) => ({ ...domain, name: '*' })) }
    await serve(everyHost)
    await request.get('/').set(at('other.local.com')).expect(403)
    await request.get('/').set(at('metrics.server.local.com')).expect(200, 'app')
  })
})
