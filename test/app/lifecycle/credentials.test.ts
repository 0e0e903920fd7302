import type { RequestListener } from 'node:http'
import { Agent } from 'undici'
import { describe, expect, onTestFinished, test } from 'vitest'
import { everywhere } from '../../fixtures/app.ts'
import { createInstance, createReadyInstance } from '../../fixtures/instance.ts'
import { type PluginApi, startPluginApi } from '../../fixtures/plugin-api.ts'
import { createIdentity, startTlsApi } from '../../fixtures/tls-api.ts'

const versioned = (version: number) => ({ general: { version }, ...everywhere([]) })
const withDocument =
  (version: number): RequestListener =>
  (_request, response) =>
    response.setHeader('ETag', `"${version}"`).end(JSON.stringify(versioned(version)))

/** An agent with these certificates, closed after the test. */
function agentWith(connect: object): Agent {
  const agent = new Agent({ connect })
  onTestFinished(() => agent.destroy())
  return agent
}

describe('headers from a function', () => {
  /** Answers 401 to every token but one, in the way of `answer` otherwise. */
  function guardWith(api: PluginApi, token: string, answer: RequestListener): void {
    api.behave((request, response) => {
      if (request.headers.authorization === token) answer(request, response)
      else response.writeHead(401).end('{"error":"expired"}')
    })
  }

  /** A function that hands out these tokens one after the other, and what it was asked. */
  function tokens(...values: string[]) {
    const asked: boolean[] = []
    const plugin_api_headers = async ({ renew }: { renew: boolean }) => {
      asked.push(renew)
      return { authorization: values[Math.min(asked.length, values.length) - 1] as string }
    }
    return { asked, plugin_api_headers }
  }

  test('are asked for once more when the API answers 401, with word of it', async () => {
    const api = await startPluginApi()
    const { asked, plugin_api_headers } = tokens('old', 'new')
    guardWith(api, 'new', withDocument(1))
    const dyna = createInstance({ plugin_api_uri: api.uri, plugin_api_headers })
    expect(await dyna.refresh()).toMatchObject({ updated: true, version: 1 })
    expect(asked).toEqual([false, true])
    expect(api.requests.map(({ headers }) => headers.authorization)).toEqual(['old', 'new'])
    expect(dyna.status().last_error).toBeNull()
    // The next request is an ordinary one again.
    expect(await dyna.refresh()).toMatchObject({ updated: false, reason: 'unchanged' })
    expect(asked).toEqual([false, true, false])
  })

  test('come with the same question the second time', async () => {
    const api = await startPluginApi()
    const { plugin_api_headers } = tokens('first', 'old', 'new')
    guardWith(api, 'first', withDocument(1))
    const dyna = await createReadyInstance({ plugin_api_uri: api.uri, plugin_api_headers })
    guardWith(api, 'new', withDocument(2))
    expect(await dyna.refresh()).toMatchObject({ updated: true, version: 2 })
    expect(api.requests.map(({ headers }) => headers['if-none-match'])).toEqual([undefined, '"1"', '"1"'])
  })

  test('are asked for no more than once more, however often the API answers 401', async () => {
    const api = await startPluginApi()
    const { asked, plugin_api_headers } = tokens('old', 'older')
    guardWith(api, 'new', withDocument(1))
    const dyna = createInstance({ plugin_api_uri: api.uri, plugin_api_headers })
    const error = { code: 'ERR_DYNACODE_FETCH_STATUS', status: 401 }
    expect(await dyna.refresh()).toMatchObject({ updated: false, reason: 'fetch', error })
    expect(asked).toEqual([false, true])
    expect(api.requests).toHaveLength(2)
  })

  test.each([403, 407, 500])('are not asked for again when the API answers %d', async (status) => {
    const api = await startPluginApi()
    api.answer({ status })
    const { asked, plugin_api_headers } = tokens('old')
    const dyna = createInstance({ plugin_api_uri: api.uri, plugin_api_headers })
    expect(await dyna.refresh()).toMatchObject({ updated: false, error: { status } })
    expect(asked).toEqual([false])
  })

  test('that cannot be renewed are an error like any other', async () => {
    const api = await startPluginApi()
    api.answer({ status: 401 })
    const dyna = createInstance({
      plugin_api_uri: api.uri,
      plugin_api_headers: ({ renew }) => {
        if (renew) throw new Error('the vault is sealed')
        return {}
      },
    })
    const error = { code: 'ERR_DYNACODE_FETCH', message: 'plugin_api_headers() failed: the vault is sealed' }
    expect(await dyna.refresh()).toMatchObject({ updated: false, error })
    expect(api.requests).toHaveLength(1)
  })

  test('that take too long come under the deadline of the fetch, the first and the second time', async () => {
    const api = await startPluginApi()
    api.answer({ status: 401 })
    for (const slow of [false, true]) {
      const dyna = createInstance({
        plugin_api_uri: api.uri,
        plugin_api_timeout: 0.1,
        plugin_api_headers: ({ renew }) => (renew === slow ? new Promise<never>(() => undefined) : {}),
      })
      expect(await dyna.refresh()).toMatchObject({ updated: false, error: { code: 'ERR_DYNACODE_FETCH_TIMEOUT' } })
    }
  })

  test('are renewed though the answer that asks for it never ends', async () => {
    const api = await startPluginApi()
    api.behave((request, response) => {
      if (request.headers.authorization === 'new') return withDocument(1)(request, response)
      response.writeHead(401)
      response.write('{"error":')
    })
    const { plugin_api_headers } = tokens('old', 'new')
    const dyna = createInstance({ plugin_api_uri: api.uri, plugin_api_headers })
    expect(await dyna.refresh()).toMatchObject({ updated: true })
  })
})

test('headers that are an object are not sent again when the API answers 401', async () => {
  const api = await startPluginApi()
  api.answer({ status: 401 })
  const dyna = createInstance({ plugin_api_uri: api.uri, plugin_api_headers: { authorization: 'old' } })
  expect(await dyna.refresh()).toMatchObject({ updated: false, error: { status: 401 } })
  expect(api.requests).toHaveLength(1)
})

describe('client certificates', async () => {
  const [server, client, stranger] = await Promise.all(['api', 'app', 'stranger'].map(createIdentity))
  if (!server || !client || !stranger) throw new Error('no identities')
  const mutual = { ...server, ca: client.cert, requestCert: true, rejectUnauthorized: true }

  test('come from an undici Agent of the app, and the API knows who asks', async () => {
    const api = await startTlsApi(mutual, withDocument(1))
    const plugin_api_dispatcher = agentWith({ ...client, ca: server.cert })
    const dyna = createInstance({ plugin_api_uri: api.uri, plugin_api_dispatcher })
    expect(await dyna.ready()).toEqual({ from: 'network' })
    expect(api.clients).toEqual(['app'])
    await dyna.close()
    // It is the app's to close.
    expect(plugin_api_dispatcher.closed).toBe(false)
    expect(plugin_api_dispatcher.destroyed).toBe(false)
  })

  test.each([
    ['without one', { ca: server.cert }],
    ["with a stranger's", { ...stranger, ca: server.cert }],
  ])('%s the API gives nothing, and nothing goes live', async (_, connect) => {
    const api = await startTlsApi(mutual, withDocument(1))
    const dyna = createInstance({ plugin_api_uri: api.uri, plugin_api_dispatcher: agentWith(connect) })
    expect(await dyna.refresh()).toMatchObject({
      updated: false,
      reason: 'fetch',
      error: { code: 'ERR_DYNACODE_FETCH' },
    })
    expect(api.clients).toEqual([])
  })

  test.each([
    ['that nobody vouches for', undefined],
    ['that another vouches for', { ...client, ca: stranger.cert }],
  ])('an API with a certificate %s is not believed', async (_, connect) => {
    const api = await startTlsApi(server, withDocument(1))
    const plugin_api_dispatcher = connect && agentWith(connect)
    const dyna = createInstance({ plugin_api_uri: api.uri, ...(plugin_api_dispatcher && { plugin_api_dispatcher }) })
    expect(await dyna.refresh()).toMatchObject({ updated: false, error: { code: 'ERR_DYNACODE_FETCH' } })
    expect(api.clients).toEqual([])
  })

  test('a redirect from https: to http: is refused, however many are allowed', async () => {
    const plain = await startPluginApi(versioned(1))
    const api = await startTlsApi(server, (_request, response) =>
      response.writeHead(302, { Location: plain.uri }).end(),
    )
    const dyna = createInstance({
      plugin_api_uri: api.uri,
      plugin_api_redirects: 5,
      plugin_api_dispatcher: agentWith({ ca: server.cert }),
    })
    const error = { code: 'ERR_DYNACODE_FETCH', message: expect.stringContaining('redirects') }
    expect(await dyna.refresh()).toMatchObject({ updated: false, error })
    expect(plain.requests).toEqual([])
  })

  test('a redirect from http: to https: is another origin: followed where allowed, without headers', async () => {
    const seen: unknown[] = []
    const api = await startTlsApi(server, (request, response) => {
      seen.push(request.headers.authorization)
      withDocument(1)(request, response)
    })
    const plain = await startPluginApi()
    plain.answer({ status: 308, headers: { Location: api.uri } })
    const dyna = createInstance({
      plugin_api_uri: plain.uri,
      plugin_api_redirects: 1,
      plugin_api_headers: { authorization: 'Bearer hunter2' },
      plugin_api_dispatcher: agentWith({ ca: server.cert }),
    })
    expect(await dyna.refresh()).toMatchObject({ updated: true, version: 1 })
    expect(seen).toEqual([undefined])
  })
})
