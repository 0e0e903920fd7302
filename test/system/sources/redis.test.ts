import { once } from 'node:events'
import { type AddressInfo, connect, createServer } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { createClient } from 'redis'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { DocumentError, DynacodeError, type DynacodeOptions, type Source } from '../../../lib/index.ts'
import { publish_document, redis_source } from '../../../lib/sources/redis.ts'
import { checkSource } from '../../../lib/testing/index.ts'
import { runChild } from '../../fixtures/child.ts'
import { createInstance, payloadsOf, record } from '../../fixtures/instance.ts'
import { hasProgram, startRedis } from '../../fixtures/services.ts'
import { createSigner } from '../../fixtures/signing.ts'

const KEY = 'plugins'
const CHANNEL = 'plugins-changed'
const PLACE = { key: KEY, channel: CHANNEL }
const DOCUMENT = { domains: [{ name: '*', plugins: [] }] }
/** Real processes, on machines with other work. */
const PATIENCE = { timeout: 60_000, interval: 10 }

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

const makeClient = ({ port }: { port: number }, options = {}) => {
  const client = createClient({ socket: { host: '127.0.0.1', port }, ...options })
  // The app's own handler: without one, node-redis lets a connection that is lost end the process.
  client.on('error', () => undefined)
  cleanups.push(() => client.isOpen && client.destroy())
  return client
}

async function makeConnected(server: { port: number }, options = {}) {
  const client = makeClient(server, options)
  await client.connect()
  return client
}

/** Fetches as dynacode does, but for its deadline. */
const fetchFrom = (source: Source, last?: string) => source.fetch(AbortSignal.timeout(10_000), last)

async function textOf(source: Source): Promise<string> {
  const fetched = await fetchFrom(source)
  return fetched.unchanged === true ? 'unchanged' : Buffer.from(fetched.bytes).toString()
}

/** Starts to watch; the calls are counted. */
function startWatch(source: Source) {
  const watch = { calls: 0, stop: () => undefined as unknown }
  watch.stop = source.watch?.(() => {
    watch.calls += 1
  }) as () => void
  cleanups.push(() => watch.stop())
  return watch
}

const calledAgain = (watch: { calls: number }, calls = watch.calls) =>
  vi.waitFor(() => expect(watch.calls).toBeGreaterThan(calls), PATIENCE)

describe.runIf(hasProgram('redis-server'))('redis_source', () => {
  describe.each([2, 3] as const)('with RESP %d', (RESP) => {
    const setup = async () => {
      const server = await startRedis()
      const client = await makeConnected(server, { RESP })
      const writer = await makeConnected(server)
      return {
        source: redis_source({ client, ...PLACE }),
        publish: (document: Uint8Array) =>
          vi.waitFor(() => publish_document(writer, { ...PLACE, document }), { timeout: 60_000, interval: 10 }),
        clear: () => writer.del(KEY),
        async break() {
          await server.kill()
          await vi.waitFor(() => expect(client.isReady).toBe(false), PATIENCE)
        },
        stall: server.stall,
        mend: server.mend,
        async close() {
          for (const each of [client, writer]) if (each.isOpen) each.destroy()
          await server.mend()
          await server.kill()
        },
      }
    }
    for (const { name, run } of checkSource(setup)) test(name, run)
  })

  test('returns every byte as it is, even where it is not UTF-8', async () => {
    const client = await makeConnected(await startRedis())
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte))
    await client.set(KEY, bytes)
    expect(await fetchFrom(redis_source({ client, ...PLACE }))).toMatchObject({ bytes })
  })

  test('uses the key prefix, the database and the user of the client, for its own connection too', async () => {
    const server = await startRedis()
    const admin = await makeConnected(server)
    await admin.sendCommand(['ACL', 'SETUSER', 'reader', 'on', '>secret', '~*', '&*', '+@all'])
    await admin.sendCommand(['ACL', 'SETUSER', 'default', 'off'])
    const url = `redis://reader:secret@127.0.0.1:${server.port}/3`
    const client = createClient({ url, keyPrefix: 'app:' }).on('error', () => undefined)
    cleanups.push(() => client.isOpen && client.destroy())
    await client.connect()
    const source = redis_source({ client, ...PLACE })
    const watch = startWatch(source)
    await calledAgain(watch)
    await publish_document(client, { ...PLACE, document: DOCUMENT })
    expect(await textOf(source)).toBe(JSON.stringify(DOCUMENT))
    await calledAgain(watch, 1)
    expect(await client.keys('*')).toEqual(['app:plugins'])
  })
})

describe.runIf(hasProgram('redis-server'))('what is wrong with the key', () => {
  const fault = async (prepare: (client: Awaited<ReturnType<typeof makeConnected>>) => unknown) => {
    const client = await makeConnected(await startRedis())
    await prepare(client)
    const error = await fetchFrom(redis_source({ client, ...PLACE })).catch((error: unknown) => error)
    expect(error).toBeInstanceOf(DynacodeError)
    expect(error).toMatchObject({ code: 'ERR_DYNACODE_FETCH' })
    return (error as Error).message
  }
  const NOTHING =
    'Redis key "plugins": expected the document as a string, got nothing: it was never published, was deleted or has expired'

  test.each([
    ['never published', () => undefined, NOTHING],
    [
      'a list',
      (client) => client.rPush(KEY, 'a'),
      'Redis key "plugins": expected the document as a string, got a list',
    ],
    [
      'a hash',
      (client) => client.hSet(KEY, 'a', 'b'),
      'Redis key "plugins": expected the document as a string, got a hash',
    ],
    [
      'a sorted set',
      (client) => client.zAdd(KEY, { score: 1, value: 'a' }),
      'Redis key "plugins": expected the document as a string, got a zset',
    ],
  ] as [string, Parameters<typeof fault>[0], string][])('%s is said', async (_, prepare, message) => {
    expect(await fault(prepare)).toBe(message)
  })

  test('that it has expired is said', async () => {
    const message = await fault(async (client) => {
      await client.set(KEY, '{}', { PX: 1 })
      await vi.waitFor(async () => expect(await client.exists(KEY)).toBe(0), PATIENCE)
    })
    expect(message).toBe(NOTHING)
  })

  test('GET, TYPE, SUBSCRIBE and PING are all that a user has to be allowed', async () => {
    const server = await startRedis()
    const admin = await makeConnected(server)
    const rights = ['-@all', '+get', '+type', '+subscribe', '+ping', `~${KEY}`, `&${CHANNEL}`]
    await admin.sendCommand(['ACL', 'SETUSER', 'reader', 'on', '>secret', ...rights])
    const client = await makeConnected(server, { username: 'reader', password: 'secret' })
    const source = redis_source({ client, ...PLACE })
    const watch = startWatch(source)
    await calledAgain(watch)
    await publish_document(admin, { ...PLACE, document: DOCUMENT })
    await calledAgain(watch, 1)
    expect(await textOf(source)).toBe(JSON.stringify(DOCUMENT))
    await admin.del(KEY)
    await admin.sAdd(KEY, 'a')
    await expect(fetchFrom(source)).rejects.toThrow(/got a set$/)
  })

  test('that the user may not read it is said', async () => {
    const message = await fault((client) => client.sendCommand(['ACL', 'SETUSER', 'default', '-get']))
    expect(message).toMatch(/^Redis key "plugins": expected the document as a string, got an error: NOPERM /)
  })
})

describe.runIf(hasProgram('redis-server'))('a value over the limit', () => {
  test('is refused before it is read', async () => {
    const client = await makeConnected(await startRedis())
    await client.set(KEY, ' '.repeat(2000))
    const source = redis_source({ client, ...PLACE, max_bytes: 1999 })
    await expect(fetchFrom(source)).rejects.toMatchObject({
      code: 'ERR_DYNACODE_FETCH_TOO_LARGE',
      message: 'Redis key "plugins": the document has 2000 bytes, expected 1999 at most (max_bytes)',
    })
    expect(await client.info('commandstats')).not.toContain('cmdstat_get:')
    expect(await fetchFrom(redis_source({ client, ...PLACE, max_bytes: 2000 }))).toHaveProperty('tag')
  })

  test('is 16 MiB unless said otherwise', async () => {
    const client = await makeConnected(await startRedis())
    await client.setRange(KEY, 16 * 1024 * 1024, 'x')
    await expect(fetchFrom(redis_source({ client, ...PLACE }))).rejects.toThrow('expected 16777216 at most')
  })

  test('is refused once it is read where the user may not ask for its size', async () => {
    const client = await makeConnected(await startRedis())
    await client.set(KEY, ' '.repeat(2000))
    await client.sendCommand(['ACL', 'SETUSER', 'default', '-strlen'])
    await expect(fetchFrom(redis_source({ client, ...PLACE, max_bytes: 1999 }))).rejects.toThrow('has 2000 bytes')
  })
})

describe.runIf(hasProgram('redis-server'))('the connection', () => {
  test('a client that is not connected yet is left to the app; the document comes as soon as it is', async () => {
    const server = await startRedis()
    await publish_document(await makeConnected(server), { ...PLACE, document: DOCUMENT })
    const client = makeClient(server)
    const source = redis_source({ client, ...PLACE })
    await expect(fetchFrom(source)).rejects.toThrow('but the client is not connected: call its connect()')
    expect(client.isOpen).toBe(false)

    const dyna = createInstance({ source })
    const seen = record(dyna, ['bg_fetch_api_generic_error'])
    await vi.waitFor(() => expect(seen).not.toHaveLength(0), PATIENCE)
    await client.connect()
    await dyna.ready(10_000)
  })

  test('close() ends the connection of its own, and leaves that of the app', async () => {
    const server = await startRedis()
    const client = await makeConnected(server)
    const source = redis_source({ client, ...PLACE })
    const watch = startWatch(source)
    await calledAgain(watch)
    const connections = async () => ((await client.sendCommand(['CLIENT', 'LIST'])) as string).trim().split('\n').length
    expect(await connections()).toBe(2)
    watch.stop()
    await source.close?.()
    await vi.waitFor(async () => expect(await connections()).toBe(1), PATIENCE)
    expect(client.isReady).toBe(true)
    expect(client.listenerCount('ready')).toBe(0)
  })

  test('a cache and a time-out of the client leave the connection for messages alone', async () => {
    const server = await startRedis()
    const socket = { host: '127.0.0.1', port: server.port, socketTimeout: 100 }
    const client = await makeConnected(server, {
      socket,
      RESP: 3,
      pingInterval: 20,
      clientSideCache: { ttl: 0, maxEntries: 10 },
    })
    await publish_document(client, { ...PLACE, document: DOCUMENT })
    const source = redis_source({ client, ...PLACE })
    const watch = startWatch(source)
    await calledAgain(watch)
    expect(await textOf(source)).toBe(JSON.stringify(DOCUMENT))
    const ids = async () =>
      [...String(await client.sendCommand(['CLIENT', 'LIST'])).matchAll(/\bid=(\d+)/g)].map(([id]) => id)
    const before = await ids()
    expect(before).toHaveLength(2)
    await pause(300)
    expect(await ids()).toEqual(before)
  })

  test('a watch that is ended while it connects leaves nothing behind', async () => {
    const server = await startRedis()
    const client = await makeConnected(server)
    for (const ms of [0, 1, 2, 5, 10]) {
      const watch = startWatch(redis_source({ client, ...PLACE }))
      await pause(ms)
      watch.stop()
      const { calls } = watch
      await vi.waitFor(async () => {
        const list = (await client.sendCommand(['CLIENT', 'LIST'])) as string
        expect(list.trim().split('\n')).toHaveLength(1)
      }, PATIENCE)
      expect(watch.calls).toBe(calls)
    }
  })

  test.each([0, 1])('a server that is killed and started again (%d) is followed, with what it then has', async () => {
    const server = await startRedis()
    const client = await makeConnected(server)
    const dyna = createInstance({ source: redis_source({ client, ...PLACE }) })
    const seen = record(dyna, ['bg_updated_plugins'])
    await publish_document(client, { ...PLACE, document: DOCUMENT })
    await dyna.ready(10_000)
    await server.kill()
    await vi.waitFor(() => expect(client.isReady).toBe(false), PATIENCE)
    expect(dyna.status().loaded).toBe(true)
    await server.start()
    await publish_document(await makeConnected(server), {
      ...PLACE,
      document: { ...DOCUMENT, general: { version: 2 } },
    })
    await vi.waitFor(() => expect(seen.length).toBeGreaterThan(1), PATIENCE)
  })

  test('a replica that takes over on the same address is followed', async () => {
    const primary = await startRedis()
    const client = await makeConnected(primary)
    await publish_document(client, { ...PLACE, document: DOCUMENT })
    const source = redis_source({ client, ...PLACE })
    const watch = startWatch(source)
    await calledAgain(watch)

    const replica = await startRedis('--replicaof', '127.0.0.1', `${primary.port}`)
    const second = await makeConnected(replica)
    await vi.waitFor(async () => expect(await second.get(KEY)).not.toBeNull(), PATIENCE)
    await primary.kill()
    await second.sendCommand(['REPLICAOF', 'NO', 'ONE'])
    // As a floating address would.
    const address = createServer((socket) => {
      const onward = connect(replica.port, '127.0.0.1')
      socket.pipe(onward).pipe(socket)
      for (const end of [socket, onward]) end.on('error', () => [socket.destroy(), onward.destroy()])
    })
    address.listen(primary.port, '127.0.0.1')
    cleanups.push(() => address.close())
    await calledAgain(watch)
    await vi.waitFor(async () => expect(await textOf(source)).toBe(JSON.stringify(DOCUMENT)), PATIENCE)

    const { calls } = watch
    await publish_document(second, { ...PLACE, document: { ...DOCUMENT, plugins: [] } })
    await calledAgain(watch, calls)
    expect(await textOf(source)).toBe(JSON.stringify({ ...DOCUMENT, plugins: [] }))
  })

  test('a server that falls silent is noticed, and left for one that answers', async () => {
    const server = await startRedis()
    const client = await makeConnected(server)
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
    const watch = startWatch(redis_source({ client, ...PLACE }))
    await calledAgain(watch)
    const { calls } = watch
    await server.stall()
    vi.advanceTimersByTime(10_000)
    await pause(50)
    vi.advanceTimersByTime(10_000)
    await server.mend()
    vi.useRealTimers()
    // The one before was given up: this is a new connection that says so.
    await calledAgain(watch, calls)
  })

  test('a server that still loads its data is not believed to be back', async () => {
    const loading = createServer((socket) => {
      socket.on('data', (data) => {
        // Every command is an array, which begins with *.
        for (const _ of data.toString().matchAll(/^\*\d+\r$/gm))
          socket.write('-LOADING Redis is loading the dataset in memory\r\n')
      })
      socket.on('error', () => undefined)
    }).listen(0, '127.0.0.1')
    await once(loading, 'listening')
    cleanups.push(() => loading.close())
    const client = makeClient(loading.address() as AddressInfo, { RESP: 2, disableClientInfo: true })
    let connections = 0
    loading.on('connection', (socket) => {
      connections += 1
      cleanups.push(() => socket.destroy())
    })
    const watch = startWatch(redis_source({ client, ...PLACE }))
    await vi.waitFor(() => expect(connections).toBeGreaterThan(2), PATIENCE)
    expect(watch.calls).toBe(0)
  })

  test('a process that has nothing else to do ends, whether Redis is there or not', async () => {
    const server = await startRedis()
    const run = () =>
      runChild(`
        const { createClient } = await import('redis')
        const { redis_source } = await import('dynacode/redis')
        const client = createClient({ socket: { host: '127.0.0.1', port: ${server.port}, reconnectStrategy: false } })
        client.on('error', () => undefined)
        const source = redis_source({ client, key: 'a', channel: 'b' })
        dynacode({ logger: false, source })
        await sleep(300)
        console.log(JSON.stringify('over'))
      `)
    expect(await run()).toMatchObject({ code: 0, stdout: '"over"\n', stderr: '' })
    await server.kill()
    expect(await run()).toMatchObject({ code: 0, stdout: '"over"\n', stderr: '' })
  })
})

describe.runIf(hasProgram('redis-server'))('notices', () => {
  async function startInstance(options: Partial<DynacodeOptions> = {}) {
    const server = await startRedis()
    const client = await makeConnected(server)
    await publish_document(client, { ...PLACE, document: DOCUMENT })
    const source = redis_source({ client, ...PLACE })
    const dyna = createInstance({ source, ...options })
    await dyna.ready(10_000)
    const subscribers = async () => (await client.pubSubNumSub(CHANNEL))[CHANNEL]
    await vi.waitFor(async () => expect(Number(await subscribers())).toBe(1), PATIENCE)
    return { server, client, dyna, seen: record(dyna) }
  }
  const gets = async (client: { info(section: string): Promise<string> }) =>
    Number(/cmdstat_get:calls=(\d+)/.exec(await client.info('commandstats'))?.[1] ?? 0)

  test('bring a document live in processes that would poll in an hour', async () => {
    const { client, dyna } = await startInstance()
    for (const version of [2, 3, 4]) {
      await publish_document(client, { ...PLACE, document: { ...DOCUMENT, general: { version } } })
      await vi.waitFor(() => expect(dyna.status().version).toBe(version), PATIENCE)
    }
  })

  test('without a document change nothing, and are told of', async () => {
    const { client, dyna, seen } = await startInstance()
    await client.del(KEY)
    await client.publish(CHANNEL, 'anything')
    await vi.waitFor(
      () =>
        expect(payloadsOf(seen, 'bg_didnt_update_plugins')).toContainEqual(
          expect.objectContaining({ reason: 'fetch' }),
        ),
      PATIENCE,
    )
    expect(dyna.status().loaded).toBe(true)
    await publish_document(client, { ...PLACE, document: { ...DOCUMENT, general: { version: 2 } } })
    await vi.waitFor(() => expect(dyna.status().version).toBe(2), PATIENCE)
  })

  test('that were not sent are made up for by the next poll', async () => {
    const { client, dyna } = await startInstance({ plugin_api_polling_interval: 0.2 })
    await client.set(KEY, JSON.stringify({ ...DOCUMENT, general: { version: 2 } }))
    await vi.waitFor(() => expect(dyna.status().version).toBe(2), PATIENCE)
  })

  test('by the thousand cost a handful of requests', async () => {
    const { client, dyna } = await startInstance()
    const before = await gets(client)
    await Promise.all(Array.from({ length: 10_000 }, (_, index) => client.publish(CHANNEL, `${index}`)))
    await publish_document(client, { ...PLACE, document: { ...DOCUMENT, general: { version: 2 } } })
    await vi.waitFor(() => expect(dyna.status().version).toBe(2), PATIENCE)
    expect((await gets(client)) - before).toBeLessThan(100)
  })

  test('cost no request by themselves', async () => {
    const client = await makeConnected(await startRedis())
    const watch = startWatch(redis_source({ client, ...PLACE }))
    await calledAgain(watch)
    const { calls } = watch
    await Promise.all(Array.from({ length: 100 }, (_, index) => client.publish(CHANNEL, `${index}`)))
    await vi.waitFor(() => expect(watch.calls).toBe(calls + 100), PATIENCE)
    expect(await gets(client)).toBe(0)
  })
})

describe.runIf(hasProgram('redis-server'))('publish_document', () => {
  test.each([
    ['an object', { domains: [], text: 'ü' }],
    ['a string', '{ "domains": [], "text": "ü" }\n'],
    ['bytes', Buffer.from('{"domains":[],"text":"ü"}')],
  ])('takes %s', async (_, document) => {
    const client = await makeConnected(await startRedis())
    await publish_document(client, { ...PLACE, document })
    const expected =
      Buffer.isBuffer(document) || typeof document === 'string' ? `${document}` : JSON.stringify(document)
    expect(await client.get(KEY)).toBe(expected)
  })

  test('takes a signed document, and reads what is signed', async () => {
    const client = await makeConnected(await startRedis())
    const { sign } = await createSigner()
    const general = { version: 1, expires: '2999-01-01T00:00:00Z' }
    const document = await sign({ ...DOCUMENT, general })
    await publish_document(client, { ...PLACE, document })
    expect(await client.get(KEY)).toBe(document)
    const refused = publish_document(client, { ...PLACE, document: await sign({ general }) })
    await expect(refused).rejects.toMatchObject({ code: 'ERR_DYNACODE_DOCUMENT', path: 'domains' })
    const undated = publish_document(client, { ...PLACE, document: await sign(DOCUMENT) })
    await expect(undated).rejects.toMatchObject({ code: 'ERR_DYNACODE_VERSION' })
    expect(await client.get(KEY)).toBe(document)
  })

  test.each([
    ['no JSON', '{ "domains": [', /^the document is not JSON: /],
    ['no UTF-8', Buffer.from([0xff, 0xfe]), /^the document is not JSON: its bytes are not UTF-8$/],
    ['a document without domains', {}, /^domains: expected an array, got nothing$/],
    ['a list', [], /^the document: expected an object, got an array of 0$/],
    ['what has no JSON', { domains: [], size: 1n }, /^the document cannot be put into JSON: /],
  ])('refuses %s, and touches nothing', async (_, document, message) => {
    const client = await makeConnected(await startRedis())
    await client.set(KEY, 'as it was')
    const watch = startWatch(redis_source({ client, ...PLACE }))
    await calledAgain(watch)
    const { calls } = watch
    const error = await publish_document(client, { ...PLACE, document }).catch((error: unknown) => error)
    expect(error).toBeInstanceOf(DocumentError)
    expect((error as Error).message).toMatch(message)
    expect(await client.get(KEY)).toBe('as it was')
    await client.publish(CHANNEL, 'the only one')
    await vi.waitFor(() => expect(watch.calls).toBe(calls + 1), PATIENCE)
  })

  test('publishes nothing where it may not tell of it', async () => {
    const server = await startRedis()
    const client = await makeConnected(server)
    await client.sendCommand(['ACL', 'SETUSER', 'default', '-publish'])
    await expect(publish_document(client, { ...PLACE, document: DOCUMENT })).rejects.toThrow()
    expect(await client.get(KEY)).toBeNull()
  })

  test('by two processes at once leaves one document, whole, and everyone with that', async () => {
    const server = await startRedis()
    const client = await makeConnected(server)
    const source = redis_source({ client, ...PLACE })
    await publish_document(client, { ...PLACE, document: DOCUMENT })
    const dyna = createInstance({ source })
    const seen = record(dyna)
    await dyna.ready(10_000)
    const publisher = (name: string) =>
      runChild(`
        const { createClient } = await import('redis')
        const { publish_document } = await import('dynacode/redis')
        const client = await createClient({ socket: { host: '127.0.0.1', port: ${server.port} } }).connect()
        for (let n = 0; n < 200; n += 1) {
          const plugins = [{ name: '${name}', phase: 'log', code: '// ' + '${name}'.repeat(5000) }]
          const document = { general: { version: '${name}' + n }, domains: [{ name: '*', plugins }] }
          await publish_document(client, { key: '${KEY}', channel: '${CHANNEL}', document })
        }
        client.destroy()
      `)
    for (const { code, stderr } of await Promise.all([publisher('a'), publisher('b')])) {
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    }
    const last = JSON.parse((await client.get(KEY)) as string).general.version
    expect(last).toMatch(/^[ab]199$/)
    await vi.waitFor(() => expect(dyna.status().version).toBe(last), PATIENCE)
    expect(payloadsOf(seen, 'bg_didnt_update_plugins').filter(({ reason }) => reason !== 'unchanged')).toEqual([])
    expect(payloadsOf(seen, 'on_error')).toEqual([])
  })
})
