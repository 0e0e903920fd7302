import { randomUUID } from 'node:crypto'
import { connect } from 'node:net'
import * as memjs from 'memjs'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { DocumentError, DynacodeError, type Source } from '../../../lib/index.ts'
import { memcached_source, publish_document } from '../../../lib/sources/memcached.ts'
import { checkSource } from '../../../lib/testing/index.ts'
import { runChild } from '../../fixtures/child.ts'
import { createInstance } from '../../fixtures/instance.ts'
import { hasProgram, type Service, startMemcached } from '../../fixtures/services.ts'

const KEY = 'plugins'
const DOCUMENT = { domains: [{ name: '*', plugins: [] }] }
/** Over twice of what an item may be. */
const BIG = { ...DOCUMENT, text: 'äöü'.repeat(400_000) }
const BIG_BYTES = Buffer.from(JSON.stringify(BIG))
/** Real processes, on machines with other work. */
const PATIENCE = { timeout: 60_000, interval: 10 }

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

function makeClient(servers: readonly Service[], options = {}) {
  const addresses = servers.map(({ port }) => `127.0.0.1:${port}`).join(',')
  const client = memjs.Client.create(addresses, { logger: { log: () => undefined }, retry_delay: 0.05, ...options })
  cleanups.push(() => client.close())
  return client
}

async function start(options = {}) {
  const server = await startMemcached()
  const client = makeClient([server], options)
  return { server, client, source: memcached_source({ client, key: KEY }) }
}

/** Fetches as dynacode does, but for its deadline. */
const fetchFrom = (source: Source, last?: string) => source.fetch(AbortSignal.timeout(10_000), last)

async function bytesOf(source: Source): Promise<Buffer> {
  const fetched = await fetchFrom(source)
  if (fetched.unchanged === true) throw new Error('unchanged')
  return Buffer.from(fetched.bytes)
}

async function failureOf(source: Source): Promise<string> {
  const error = await fetchFrom(source).catch((error: unknown) => error)
  expect(error).toBeInstanceOf(DynacodeError)
  expect(error).toMatchObject({ code: 'ERR_DYNACODE_FETCH' })
  return (error as Error).message
}

/** The manifest of a document in parts, as it is stored. */
async function manifestOf(client: memjs.Client): Promise<{ id: string; sizes: number[]; sha256: string }> {
  const { value } = await client.get(KEY)
  const [, json] = /^dynacode-parts\/1 (.+)$/.exec(String(value))!
  return JSON.parse(json!)
}

const items = (client: memjs.Client) =>
  new Promise<number>((resolve, reject) =>
    client.stats((error, _server, stats) => (error ? reject(error) : resolve(Number(stats!.curr_items)))),
  )

/** The keys that are to stay for good. */
async function keptFor({ port }: Service): Promise<string[]> {
  const socket = connect(port, '127.0.0.1')
  socket.write('lru_crawler metadump all\r\n')
  let text = ''
  for await (const data of socket) {
    text += data
    if (text.endsWith('END\r\n')) break
  }
  return [...text.matchAll(/^key=(\S+) exp=-1 /gm)].map(([, key]) => decodeURIComponent(key!)).sort()
}

describe.runIf(hasProgram('memcached'))('memcached_source', () => {
  const setup = async () => {
    const { server, client, source } = await start()
    const writer = makeClient([server])
    return {
      source,
      publish: (document: Uint8Array) => publish_document(writer, { key: KEY, document }),
      clear: () => writer.delete(KEY),
      break: server.kill,
      stall: server.stall,
      mend: server.mend,
      async close() {
        await server.mend()
        client.close()
        writer.close()
        await server.kill()
      },
    }
  }
  const cases = checkSource(setup).filter(({ name }) => !name.startsWith('watch:'))
  for (const { name, run } of cases) test(name, run)

  test('returns every byte as it is, even where it is not UTF-8', async () => {
    const { client, source } = await start()
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte))
    await client.set(KEY, bytes, {})
    expect(await bytesOf(source)).toEqual(bytes)
  })

  test('joins a document in parts, and asks for no part of one that it has', async () => {
    const { client, source } = await start()
    await publish_document(client, { key: KEY, document: BIG })
    const fetched = await fetchFrom(source)
    expect(BIG_BYTES.equals((fetched as { bytes: Uint8Array }).bytes)).toBe(true)
    const { id, sizes, sha256 } = await manifestOf(client)
    expect(sizes).toEqual([1_000_000, 1_000_000, BIG_BYTES.length - 2_000_000])
    expect((fetched as { tag?: string }).tag).toBe(sha256)
    await client.delete(`${KEY}:${id}:1`)
    expect(await fetchFrom(source, sha256)).toEqual({ unchanged: true })
  })

  test('says which part is missing', async () => {
    const { client, source } = await start()
    await publish_document(client, { key: KEY, document: BIG })
    const { id } = await manifestOf(client)
    await client.delete(`${KEY}:${id}:1`)
    expect(await failureOf(source)).toBe(
      `Memcached key "plugins:${id}:1": expected part 2 of 3 of "plugins", got nothing: it was never published, has expired or was dropped for want of memory`,
    )
  })

  test('refuses parts that are not those of the document', async () => {
    const { client, source } = await start()
    await publish_document(client, { key: KEY, document: BIG })
    const { id } = await manifestOf(client)
    await client.set(`${KEY}:${id}:1`, Buffer.alloc(1_000_000), {})
    expect(await failureOf(source)).toBe(
      'Memcached key "plugins": expected parts with the SHA-256 that it names, got others',
    )
    await client.set(`${KEY}:${id}:0`, Buffer.alloc(999), {})
    expect(await failureOf(source)).toBe(
      `Memcached key "plugins:${id}:0": expected part 1 of 3 of "plugins" with 1000000 bytes, got 999`,
    )
  })

  test('refuses a document over the limit before it reads the parts, or as soon as it has the value', async () => {
    const { client } = await start()
    const get = vi.spyOn(client, 'get')
    const source = memcached_source({ client, key: KEY, max_bytes: BIG_BYTES.length - 1 })
    await publish_document(client, { key: KEY, document: BIG })
    get.mockClear()
    await expect(fetchFrom(source)).rejects.toMatchObject({
      code: 'ERR_DYNACODE_FETCH_TOO_LARGE',
      message: `Memcached key "plugins": the document has ${BIG_BYTES.length} bytes, expected ${BIG_BYTES.length - 1} at most (max_bytes)`,
    })
    expect(new Set(get.mock.calls.map(([name]) => name))).toEqual(new Set([KEY]))
    await publish_document(client, { key: KEY, document: { ...DOCUMENT, text: 'x'.repeat(500) } })
    const small = memcached_source({ client, key: KEY, max_bytes: 500 })
    await expect(fetchFrom(small)).rejects.toMatchObject({ code: 'ERR_DYNACODE_FETCH_TOO_LARGE' })
  })

  test('takes 16 MiB unless told otherwise, whatever sizes it reads', async () => {
    const { client, source } = await start()
    const manifest = { id: randomUUID(), sizes: Array.from({ length: 17 }, () => 1024 * 1024), sha256: '0'.repeat(64) }
    await client.set(KEY, `dynacode-parts/1 ${JSON.stringify(manifest)}`, {})
    await expect(fetchFrom(source)).rejects.toThrow('has 17825792 bytes, expected 16777216 at most (max_bytes)')
  })

  test.each(['dynacode-parts/1 ', 'dynacode-parts/1 {"id":1}', 'dynacode-parts/1 {'])(
    'refuses %j as a list of parts',
    async (value) => {
      const { client, source } = await start()
      await client.set(KEY, value, {})
      expect(await failureOf(source)).toBe(
        'Memcached key "plugins": expected the document, got a list of its parts that cannot be read',
      )
    },
  )

  test('a key that was never there, or has expired, is nothing', async () => {
    const { client, source } = await start()
    const NOTHING =
      'Memcached key "plugins": expected the document, got nothing: it was never published, has expired or was dropped for want of memory'
    expect(await failureOf(source)).toBe(NOTHING)
    await publish_document(client, { key: KEY, document: DOCUMENT })
    await client.touch(KEY, 1)
    await vi.waitFor(async () => expect((await client.get(KEY)).value).toBeNull(), PATIENCE)
    expect(await failureOf(source)).toBe(NOTHING)
  })

  test('a server that is down is not a key that is not there', async () => {
    const { server, client, source } = await start()
    await publish_document(client, { key: KEY, document: DOCUMENT })
    await server.kill()
    expect(await failureOf(source)).toMatch(
      /^Memcached key "plugins": expected the document, got no answer of the server: connect ECONNREFUSED/,
    )
  })

  test('a server that is silent is one that does not answer', async () => {
    const { server, client, source } = await start({ timeout: 1 })
    await publish_document(client, { key: KEY, document: DOCUMENT })
    await server.stall()
    expect(await failureOf(source)).toMatch(/got no answer of the server: socket timed out waiting on response/)
    await server.mend()
    await vi.waitFor(async () => expect(await bytesOf(source)).toEqual(Buffer.from(JSON.stringify(DOCUMENT))), PATIENCE)
  })

  test('with failover, what another server does not have may still be on the one that is down', async () => {
    const [first, second] = [await startMemcached(), await startMemcached()]
    const client = makeClient([first, second], { failover: true })
    const source = memcached_source({ client, key: KEY })
    await publish_document(client, { key: KEY, document: DOCUMENT })
    const owner = client.server(KEY)!.port === first.port ? first : second
    await owner.kill()
    expect(await failureOf(source)).toBe(
      'Memcached key "plugins": expected the document, got nothing: the server 127.0.0.1 is down',
    )
  })

  test('a serializer that makes something else of the bytes is named', async () => {
    const serializer = {
      serialize: (_: number, value: unknown, extras: Buffer) => ({ value: JSON.stringify(value), extras }),
      deserialize: (_: number, value: Buffer | null, extras: Buffer) => ({ value: JSON.parse(String(value)), extras }),
    }
    const { client, source } = await start({ serializer })
    await client.set(KEY, { domains: [] } as never, {})
    expect(await failureOf(source)).toBe(
      'Memcached key "plugins": expected the document as bytes, got another type: is there a serializer?',
    )
  })

  test('an instance keeps the last good document while the server is gone, and follows it when it is back', async () => {
    const { server, client, source } = await start()
    await publish_document(client, { key: KEY, document: { ...BIG, general: { version: 1 } } })
    const dyna = createInstance({ source, plugin_api_polling_interval: 0.2, plugin_api_backoff_max: 0.3 })
    await dyna.ready(10_000)
    await server.kill()
    await vi.waitFor(() => expect(dyna.status().last_error).not.toBeNull(), PATIENCE)
    await server.start()
    await vi.waitFor(() => expect(dyna.status().last_error?.message).toMatch(/never published/), PATIENCE)
    expect(dyna.status()).toMatchObject({ loaded: true, version: 1 })
    await publish_document(client, { key: KEY, document: { ...BIG, general: { version: 2 } } })
    await vi.waitFor(() => expect(dyna.status()).toMatchObject({ version: 2, last_error: null }), PATIENCE)
  })
})

describe.runIf(hasProgram('memcached'))('publish_document', () => {
  test.each([
    ['an object', { domains: [], text: 'ü' }],
    ['a string', '{ "domains": [], "text": "ü" }\n'],
    ['bytes', Buffer.from('{"domains":[],"text":"ü"}')],
  ])('takes %s', async (_, document) => {
    const { client, source } = await start()
    await publish_document(client, { key: KEY, document })
    const is_text = Buffer.isBuffer(document) || typeof document === 'string'
    expect((await bytesOf(source)).toString()).toBe(is_text ? `${document}` : JSON.stringify(document))
  })

  test.each([1_000_000, 1_000_001])('a document of %d bytes comes back whole', async (size) => {
    const { client, source } = await start()
    const document = '{"domains":[]}'.padEnd(size)
    await publish_document(client, { key: KEY, document })
    expect((await bytesOf(source)).equals(Buffer.from(document))).toBe(true)
  })

  test.each([
    ['no JSON', '{ "domains": [', /^the document is not JSON: /],
    ['a document without domains', {}, /^domains: expected an array, got nothing$/],
  ])('refuses %s, and touches nothing', async (_, document, message) => {
    const { client, source } = await start()
    await publish_document(client, { key: KEY, document: DOCUMENT })
    const error = await publish_document(client, { key: KEY, document }).catch((error: unknown) => error)
    expect(error).toBeInstanceOf(DocumentError)
    expect((error as Error).message).toMatch(message)
    expect(await bytesOf(source)).toEqual(Buffer.from(JSON.stringify(DOCUMENT)))
  })

  test('leaves the key as it was when a part cannot be stored', async () => {
    const server = await startMemcached('-I', '512k')
    const client = makeClient([server])
    const source = memcached_source({ client, key: KEY })
    await publish_document(client, { key: KEY, document: DOCUMENT })
    await expect(publish_document(client, { key: KEY, document: BIG })).rejects.toThrow('Value too large')
    expect(await bytesOf(source)).toEqual(Buffer.from(JSON.stringify(DOCUMENT)))
  })

  test('leaves nothing for good that no key names, when it fails', async () => {
    const server = await startMemcached()
    const client = makeClient([server])
    const set = vi.spyOn(client, 'set')
    set.mockImplementation(async (name) => {
      if (name === KEY) throw new Error('no')
      return true
    })
    vi.spyOn(client, 'touch').mockImplementation(async () => true)
    await expect(publish_document(client, { key: KEY, document: BIG })).rejects.toThrow('no')
    vi.restoreAllMocks()
    await vi.waitFor(async () => expect(await keptFor(server)).toEqual([]), PATIENCE)
    await publish_document(client, { key: KEY, document: BIG })
    await vi.waitFor(async () => expect(await keptFor(server)).toHaveLength(4), PATIENCE)
  })

  test('waits for one that publishes now, and not for long for one that was killed', async () => {
    const { client, source } = await start()
    await client.add(`${KEY}:publishing`, 'another', { expires: 1 })
    await publish_document(client, { key: KEY, document: DOCUMENT })
    expect(await bytesOf(source)).toEqual(Buffer.from(JSON.stringify(DOCUMENT)))
    expect(await items(client)).toBe(1)
  })

  test('rejects when the server is down', async () => {
    const { server, client } = await start()
    await server.kill()
    await expect(publish_document(client, { key: KEY, document: BIG })).rejects.toThrow('ECONNREFUSED')
  })

  test('lets go of the parts before, a minute later: readers may be in the middle of them', async () => {
    const { client } = await start()
    await publish_document(client, { key: KEY, document: BIG })
    const { id } = await manifestOf(client)
    expect(await items(client)).toBe(4)
    const touch = vi.spyOn(client, 'touch')
    await publish_document(client, { key: KEY, document: DOCUMENT })
    const touched = touch.mock.calls.map(([name, seconds]) => `${name} ${seconds}`)
    expect(new Set(touched)).toEqual(new Set([0, 1, 2].map((part) => `${KEY}:${id}:${part} 60`)))
    expect((await client.get(`${KEY}:${id}:2`)).value).not.toBeNull()
  })

  test('by two processes at once shows readers whole documents only, and leaves one of them', {
    timeout: 90_000,
  }, async () => {
    const { server, client, source } = await start()
    await publish_document(client, { key: KEY, document: { ...BIG, by: 'start' } })
    const publisher = (name: string) =>
      runChild(
        `
        const memjs = (await import('memjs')).default
        const { publish_document } = await import('dynacode/memcached')
        const client = memjs.Client.create('127.0.0.1:${server.port}', { timeout: 5 })
        for (let n = 0; n < 5; n += 1) {
          const document = { domains: [], by: '${name}' + n, text: '${name}'.repeat(1_100_000) }
          await publish_document(client, { key: '${KEY}', document })
        }
        client.close()
      `,
        { time_ms: 60_000 },
      )
    let running = true
    const published = Promise.all([publisher('a'), publisher('b')]).finally(() => {
      running = false
    })
    const seen = new Set<string>()
    const wrong: unknown[] = []
    while (running) {
      try {
        const { by, text } = JSON.parse((await bytesOf(source)).toString())
        if (by !== 'start' && text !== by[0].repeat(1_100_000)) wrong.push(by)
        seen.add(by)
      } catch (error) {
        wrong.push(error)
      }
    }
    for (const { code, stderr } of await published) expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(wrong).toEqual([])
    expect(seen.size).toBeGreaterThan(3)
    expect(JSON.parse((await bytesOf(source)).toString()).by).toMatch(/^[ab]4$/)
    // All that was published besides is gone in a minute. The listing leaves out what is in use at that moment.
    const { id } = await manifestOf(client)
    const kept = [KEY, ...[0, 1].map((part) => `${KEY}:${id}:${part}`)]
    await vi.waitFor(async () => expect(await keptFor(server)).toEqual(kept), PATIENCE)
  })
})
