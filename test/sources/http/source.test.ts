import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib'
import { Agent, Headers as UndiciHeaders } from 'undici'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { parseOptions } from '../../../lib/options.ts'
import type { Source } from '../../../lib/sources/contract.ts'
import { createHttpSource, type HttpSourceOptions } from '../../../lib/sources/http/source.ts'
import { type PluginApi, startPluginApi } from '../../fixtures/plugin-api.ts'

const TEXT = '{"domains":[]}'
const NEVER = new AbortController().signal
const sources: Source[] = []

afterEach(async () => {
  await Promise.all(sources.splice(0).map((source) => source.close?.()))
})

function sourceOf({ uri }: Pick<PluginApi, 'uri'>, options: Partial<HttpSourceOptions> = {}): Source {
  const source = createHttpSource({
    plugin_api_uri: uri,
    plugin_api_headers: {},
    plugin_api_dispatcher: undefined,
    plugin_api_max_bytes: 100_000,
    plugin_api_redirects: 0,
    plugin_api_wait: 0,
    plugin_api_deltas: false,
    plugin_api_timeout: 1,
    plugin_api_polling_interval: 30,
    ...options,
  })
  sources.push(source)
  return source
}

const failing = (promise: Promise<unknown>) =>
  promise.then(
    () => undefined,
    (error: { code?: string; message: string }) => error,
  )

async function textOf(source: Source, last?: string): Promise<string> {
  const fetched = await source.fetch(NEVER, last)
  return fetched.unchanged ? 'unchanged' : Buffer.from(fetched.bytes).toString()
}

describe('a request', () => {
  test('asks for JSON in the codings that can be decoded, and for a document newer than the last', async () => {
    const api = await startPluginApi()
    const source = sourceOf(api)
    await source.fetch(NEVER, undefined)
    await source.fetch(NEVER, 'W/"last"')
    expect(api.requests.map(({ method, url }) => [method, url])).toEqual([
      ['GET', '/plugins.json'],
      ['GET', '/plugins.json'],
    ])
    const [first, second] = api.requests.map(({ headers }) => headers)
    expect(first).toMatchObject({ accept: 'application/json', 'accept-encoding': expect.stringContaining('gzip') })
    expect(first).not.toHaveProperty('if-none-match')
    expect(second).toHaveProperty('if-none-match', 'W/"last"')
  })

  test('carries the headers of the options, in place of its own', async () => {
    const api = await startPluginApi()
    await sourceOf(api, { plugin_api_headers: { Authorization: 'Bearer x', ACCEPT: 'text/json' } }).fetch(
      NEVER,
      undefined,
    )
    expect(api.requests[0]?.headers).toMatchObject({ authorization: 'Bearer x', accept: 'text/json' })
  })

  test('asks a function for its headers each time', async () => {
    const api = await startPluginApi()
    let count = 0
    const source = sourceOf(api, {
      plugin_api_headers: async () => {
        count += 1
        return { 'x-count': String(count) }
      },
    })
    await source.fetch(NEVER, undefined)
    await source.fetch(NEVER, undefined)
    expect(api.requests.map(({ headers }) => headers['x-count'])).toEqual(['1', '2'])
  })

  const PAIRS = [
    ['X-One', '1'],
    ['x-two', '2'],
  ] as const
  test.each([
    ['Headers', new Headers({ 'X-One': '1', 'x-two': '2' })],
    ['Headers of undici', new UndiciHeaders({ 'X-One': '1', 'x-two': '2' })],
    ['a Map', new Map(PAIRS)],
    ['an array of pairs', PAIRS],
    [
      'a generator of pairs',
      {
        *[Symbol.iterator]() {
          yield* PAIRS
        },
      },
    ],
    ['an object without a prototype', Object.assign(Object.create(null), Object.fromEntries(PAIRS))],
  ])('carries headers that are given as %s, or made so', async (_, headers) => {
    const api = await startPluginApi()
    const { plugin_api_headers } = parseOptions({ plugin_api_uri: api.uri, plugin_api_headers: headers })
    for (const given of [plugin_api_headers, () => headers, async () => headers]) {
      await sourceOf(api, { plugin_api_headers: given }).fetch(NEVER, undefined)
    }
    for (const request of api.requests) expect(request.headers).toMatchObject({ 'x-one': '1', 'x-two': '2' })
    expect(api.requests).toHaveLength(3)
  })

  test.each([new Headers(), new Map(), []])('has none of its own where a function makes none (%#)', async (headers) => {
    const api = await startPluginApi()
    await sourceOf(api, { plugin_api_headers: () => headers as never }).fetch(NEVER, undefined)
    expect(api.requests[0]?.headers.accept).toBe('application/json')
  })

  test('carries every value of a name that comes twice', async () => {
    const api = await startPluginApi()
    const plugin_api_headers = [
      ['x-a', '1'],
      ['X-A', '2'],
    ] as const
    await sourceOf(api, { plugin_api_headers: () => plugin_api_headers }).fetch(NEVER, undefined)
    expect(api.requests[0]?.headers['x-a']).toBe('1, 2')
  })

  test.each([
    [{ plugin_api_headers: new Map([['accept', 5]]) }, 'plugin_api_headers.accept: expected a string, got 5'],
    [
      { plugin_api_headers: ['accept', 'x'] },
      'plugin_api_headers: expected an object or a function, got an array of 2',
    ],
    [{ plugin_api_headers: new Set(['a']) }, 'plugin_api_headers: expected an object or a function, got an object'],
    [{ report_headers: new Map([['a b', 'x']]) }, 'report_headers["a b"]: expected the name of a header, got a string'],
  ])('headers that are none are an error of the option (%#)', (given, message) => {
    expect(() => parseOptions({ plugin_api_uri: 'http://api/', ...(given as object) })).toThrow(`option ${message}`)
  })

  test.each([
    [
      () => {
        throw new Error('vault sealed')
      },
      'plugin_api_headers() failed: vault sealed',
    ],
    [() => Promise.reject('no vault'), 'plugin_api_headers() failed: no vault'],
    [() => null, 'plugin_api_headers(): expected an object, got null'],
    [() => 'Bearer hunter2', 'plugin_api_headers(): expected an object, got a string'],
    [() => new Map([['authorization', 5]]), 'plugin_api_headers(): authorization: expected a string, got 5'],
    [() => ['a', 'b'], 'plugin_api_headers(): expected an object, got an array of 2'],
    [() => ({ authorization: 5 }), 'plugin_api_headers(): authorization: expected a string, got 5'],
    [
      () => ({ authorization: 'hunter2\n' }),
      'plugin_api_headers(): authorization: expected a header without line breaks and characters above U+00FF, got a string',
    ],
  ])('is not made when the headers cannot be had (%#)', async (plugin_api_headers, message) => {
    const api = await startPluginApi()
    const source = sourceOf(api, { plugin_api_headers: plugin_api_headers as never })
    expect(await failing(source.fetch(NEVER, undefined))).toMatchObject({ code: 'ERR_DYNACODE_FETCH', message })
    expect(api.requests).toHaveLength(0)
  })

  test('goes through the app’s own dispatcher, which stays open', async () => {
    const api = await startPluginApi()
    const dispatcher = new Agent()
    const dispatch = vi.spyOn(dispatcher, 'dispatch')
    const source = sourceOf(api, { plugin_api_dispatcher: dispatcher })
    expect(await textOf(source)).toBe(TEXT)
    await source.close?.()
    expect(dispatch).toHaveBeenCalledTimes(1)
    expect(dispatcher.closed).toBe(false)
    await dispatcher.close()
  })
})

describe('a document', () => {
  test.each([
    ['gzip', gzipSync(TEXT)],
    ['deflate', deflateSync(TEXT)],
    ['br', brotliCompressSync(TEXT)],
  ])('in %s is decoded', async (encoding, body) => {
    const api = await startPluginApi()
    api.answer({ body, headers: { 'Content-Encoding': encoding } })
    expect(await textOf(sourceOf(api))).toBe(TEXT)
  })

  test('comes with its tag and status', async () => {
    const api = await startPluginApi()
    api.serve({ domains: [] }, { etag: '"one"' })
    expect(await sourceOf(api).fetch(NEVER, undefined)).toEqual({ bytes: Buffer.from(TEXT), tag: '"one"', status: 200 })
  })

  test.each(['', 'caf\u00e9', '"\u00e9"', '\u0080'])(
    'with the ETag %j, which could not be sent back, has no tag',
    async (etag) => {
      const api = await startPluginApi()
      api.behave((_request, response) => {
        response.setHeader('ETag', etag)
        response.end(TEXT)
      })
      const source = sourceOf(api)
      const fetched = await source.fetch(NEVER, undefined)
      expect(fetched).toMatchObject({ tag: undefined })
      expect(await textOf(source, (fetched as { tag?: string }).tag)).toBe(TEXT)
    },
  )

  test('over the cap is not read to its end', async () => {
    const api = await startPluginApi()
    api.behave((_request, response) => {
      const more = () => {
        while (response.write(Buffer.alloc(65_536))) {}
      }
      response.on('drain', more)
      more()
    })
    expect(await failing(sourceOf(api).fetch(NEVER, undefined))).toMatchObject({ code: 'ERR_DYNACODE_FETCH_TOO_LARGE' })
    await (await api.got(1)).closed
  })

  test('that has not changed is not sent again', async () => {
    const api = await startPluginApi()
    api.serve({ domains: [] }, { etag: '"one"' })
    expect(await sourceOf(api).fetch(NEVER, '"one"')).toEqual({ unchanged: true, status: 304 })
  })

  test('keeps the connection for the next request', async () => {
    const api = await startPluginApi()
    api.serve({ domains: [] }, { etag: '"one"' })
    const ports = new Set<number | undefined>()
    const source = sourceOf(api)
    for (const last of [undefined, '"one"', '"one"', undefined]) {
      await source.fetch(NEVER, last)
      ports.add(api.requests.at(-1)?.port)
      // The client has the connection back a moment after the body's end.
      await wait(1)
    }
    expect(ports.size).toBe(1)
  })
})

describe('a status that is no document', () => {
  test.each([201, 204, 206, 301, 302, 307, 400, 401, 403, 404, 410, 418, 429, 500, 502, 503])('%d', async (status) => {
    const api = await startPluginApi()
    api.answer({ status, headers: { Location: '/elsewhere' } })
    expect(await failing(sourceOf(api).fetch(NEVER, undefined))).toMatchObject({
      code: 'ERR_DYNACODE_FETCH_STATUS',
      status,
      message: `${api.uri} answered ${status}, expected 200 or 304`,
    })
    expect(api.requests).toHaveLength(1)
  })

  test('304 to somebody who has nothing is one, too', async () => {
    const api = await startPluginApi()
    api.answer({ status: 304 })
    expect(await failing(sourceOf(api).fetch(NEVER, undefined))).toMatchObject({
      code: 'ERR_DYNACODE_FETCH_STATUS',
      message: `${api.uri} answered 304, expected 200`,
    })
  })

  test('does not have to be read to its end', async () => {
    const api = await startPluginApi()
    api.behave((_request, response) => {
      response.writeHead(500)
      response.write('and now, slowly,')
    })
    expect(await failing(sourceOf(api).fetch(NEVER, undefined))).toMatchObject({ status: 500 })
    await (await api.got(1)).closed
  })

  test('is told without what may be secret in the address', async () => {
    const api = await startPluginApi()
    api.answer({ status: 500 })
    const error = await failing(sourceOf({ uri: `${api.uri}?token=hunter2` }).fetch(NEVER, undefined))
    expect(error?.message).toBe(`${api.uri} answered 500, expected 200 or 304`)
    expect(api.requests[0]?.url).toBe('/plugins.json?token=hunter2')
  })
})

describe('what is no answer at all', () => {
  /** A TCP server that says what it is told, and hangs up. */
  async function startTcp(listener: (socket: Socket) => void) {
    const server = createServer((socket) => {
      socket.on('error', () => undefined)
      socket.once('data', () => listener(socket))
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return {
      uri: `http://127.0.0.1:${(server.address() as { port: number }).port}/`,
      close: () => server.close(),
    }
  }

  test.each([
    ['nothing', ''],
    ['another protocol', '220 mail.test ESMTP\r\n'],
    ['a broken header', 'HTTP/1.1 200 OK\r\nBad Header\r\n\r\n'],
    ['half a body', 'HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\n{"dom'],
    ['half a chunked body', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\n{"doma\r\n'],
    ['a wrong chunk', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n'],
    ['headers without end', `HTTP/1.1 200 OK\r\nX: ${'x'.repeat(100_000)}\r\n\r\n{}`],
  ])('%s fails', async (_, text) => {
    const { uri, close } = await startTcp((socket) => socket.end(text))
    expect(await failing(sourceOf({ uri }).fetch(NEVER, undefined))).toBeInstanceOf(Error)
    close()
  })

  test('a closed port fails', async () => {
    const { uri, close } = await startTcp(() => undefined)
    close()
    expect(await failing(sourceOf({ uri }).fetch(NEVER, undefined))).toMatchObject({ code: 'ECONNREFUSED' })
  })
})

describe('a signal that aborts', () => {
  test.each([
    ['before the answer', () => undefined],
    [
      'within the body',
      (response: { write(text: string): void }) => {
        response.write('{"dom')
      },
    ],
  ])('%s ends the request', async (_, begin) => {
    const api = await startPluginApi()
    api.behave((_request, response) => begin(response))
    const controller = new AbortController()
    const fetching = failing(sourceOf(api).fetch(controller.signal, undefined))
    const request = await api.got(1)
    await wait(10)
    controller.abort(new Error('the time is over'))
    expect(await fetching).toBeInstanceOf(Error)
    await request.closed
  })
})

test('closing ends requests under way', async () => {
  const api = await startPluginApi()
  api.behave(() => undefined)
  const source = sourceOf(api)
  const fetching = failing(source.fetch(NEVER, undefined))
  const request = await api.got(1)
  await source.close?.()
  expect(await fetching).toBeInstanceOf(Error)
  await request.closed
})
