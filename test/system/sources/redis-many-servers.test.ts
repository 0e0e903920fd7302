import { createClient, createCluster, createSentinel } from 'redis'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { publish_document, redis_source } from '../../../lib/sources/redis.ts'
import { runChild } from '../../fixtures/child.ts'
import { createInstance } from '../../fixtures/instance.ts'
import { hasProgram, type Service, startRedis, startRedisCluster, startSentinel } from '../../fixtures/services.ts'

const PLACE = { key: 'plugins', channel: 'plugins-changed' }
const documentOf = (version: number) => ({ general: { version }, domains: [{ name: '*', plugins: [] }] })
/** Real processes, on machines with other work; that another server takes over takes some seconds by itself. */
const PATIENCE = { timeout: 60_000, interval: 10 }

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

const rootNodes = (servers: readonly Service[]) => servers.map(({ port }) => ({ url: `redis://127.0.0.1:${port}` }))

async function connectCluster(servers: readonly Service[]) {
  const cluster = createCluster({ rootNodes: rootNodes(servers) })
  cluster.on('error', () => undefined)
  cleanups.push(() => cluster.isOpen && cluster.destroy())
  await cluster.connect()
  return cluster
}

async function connectSentinel(sentinel: Service) {
  const sentinelRootNodes = [{ host: '127.0.0.1', port: sentinel.port }]
  const client = createSentinel({ name: 'app', sentinelRootNodes, scanInterval: 200 })
  client.on('error', () => undefined)
  cleanups.push(() => client.isOpen && client.destroy())
  await client.connect()
  return client
}

/** Which of these servers, and how many connections, listen to the channel. */
async function listeners(servers: readonly Service[]): Promise<number[]> {
  const counts = servers.map(async ({ port }) => {
    const client = createClient({ url: `redis://127.0.0.1:${port}` }).on('error', () => undefined)
    await client.connect()
    const { [PLACE.channel]: count } = await client.pubSubNumSub(PLACE.channel)
    client.destroy()
    return Number(count)
  })
  return Promise.all(counts)
}

describe.runIf(hasProgram('redis-server'))('a cluster', () => {
  test('is read, tells of changes, and is left alone by close()', async () => {
    const servers = await startRedisCluster()
    const client = await connectCluster(servers)
    await publish_document(client, { ...PLACE, document: documentOf(1) })
    const dyna = createInstance({ source: redis_source({ client, ...PLACE }) })
    await dyna.ready()
    await vi.waitFor(async () => expect((await listeners(servers)).sort()).toEqual([0, 0, 1]), PATIENCE)
    for (const version of [2, 3]) {
      await publish_document(client, { ...PLACE, document: documentOf(version) })
      await vi.waitFor(() => expect(dyna.status().version).toBe(version), PATIENCE)
    }
    await dyna.close()
    await vi.waitFor(async () => expect(await listeners(servers)).toEqual([0, 0, 0]), PATIENCE)
    expect(client.isOpen).toBe(true)
    expect(client.listenerCount('node-ready')).toBe(0)
  })

  test('is listened to at another node when the one that was listened to is gone', async () => {
    const servers = await startRedisCluster()
    const client = await connectCluster(servers)
    // A key that is at the last one of the nodes.
    const place = { ...PLACE, key: 'foo' }
    await publish_document(client, { ...place, document: documentOf(1) })
    const dyna = createInstance({ source: redis_source({ client, ...place }) })
    await dyna.ready()
    const others = servers.slice(0, 2)
    for (const server of others) {
      await server.kill()
      const left = servers.slice(servers.indexOf(server) + 1)
      await vi.waitFor(async () => expect(await listeners(left)).toContain(1), PATIENCE)
    }
    await publish_document(client, { ...place, document: documentOf(2) })
    await vi.waitFor(() => expect(dyna.status().version).toBe(2), PATIENCE)
  })
})

describe.runIf(hasProgram('redis-server'))('sentinels', () => {
  test('lead to the primary, to the one that takes its place, and are left alone by close()', async () => {
    const primary = await startRedis()
    const replica = await startRedis('--replicaof', '127.0.0.1', `${primary.port}`)
    const client = await connectSentinel(await startSentinel('app', primary))
    await publish_document(client, { ...PLACE, document: documentOf(1) })
    const dyna = createInstance({ source: redis_source({ client, ...PLACE }) })
    await dyna.ready()
    await vi.waitFor(async () => expect(await listeners([primary])).toEqual([1]), PATIENCE)
    await publish_document(client, { ...PLACE, document: documentOf(2) })
    await vi.waitFor(() => expect(dyna.status().version).toBe(2), PATIENCE)

    // Sentinels need some time to learn of a replica.
    await vi.waitFor(async () => expect(await knownReplicas(client)).toBe(1), PATIENCE)
    await primary.kill()
    await vi.waitFor(async () => expect(await listeners([replica])).toEqual([1]), PATIENCE)
    await vi.waitFor(() => publish_document(client, { ...PLACE, document: documentOf(3) }), PATIENCE)
    await vi.waitFor(() => expect(dyna.status().version).toBe(3), PATIENCE)

    await dyna.close()
    await vi.waitFor(async () => expect(await listeners([replica])).toEqual([0]), PATIENCE)
    expect(client.isOpen).toBe(true)
    expect(client.listenerCount('ready')).toBe(0)
  })
})

async function knownReplicas(client: Awaited<ReturnType<typeof connectSentinel>>): Promise<number> {
  const { host, port } = client.getSentinelNode() as { host: string; port: number }
  const sentinel = await createClient({ socket: { host, port }, RESP: 2 }).connect()
  const replicas = (await sentinel.sendCommand(['SENTINEL', 'REPLICAS', 'app'])) as unknown[]
  sentinel.destroy()
  return replicas.length
}

describe('without a server', () => {
  test('clients that were never connected end no process, and their sources say what is missing', async () => {
    const ran = await runChild(`
      const { createClient, createCluster, createSentinel } = await import('redis')
      const { redis_source } = await import('dynacode/redis')
      const url = 'redis://127.0.0.1:1'
      const clients = [
        createClient({ url }),
        createCluster({ rootNodes: [{ url }] }),
        createSentinel({ name: 'app', sentinelRootNodes: [{ host: '127.0.0.1', port: 1 }] }),
      ]
      for (const client of clients) {
        client.on('error', () => undefined)
        const dyna = dynacode({ logger: false, source: redis_source({ client, key: 'a', channel: 'b' }) })
        const { error } = await dyna.refresh()
        console.log(error.message)
      }
      await sleep(500)
    `)
    const message =
      'Redis key "a": expected the document as a string, but the client is not connected: call its connect()'
    expect(ran).toMatchObject({ code: 0, stdout: `${message}\n`.repeat(3), stderr: '' })
  })
})
