import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { createKeyValueServer } from '../../examples/key-value/key-value-server.ts'
import { createInstance, payloadsOf, record } from '../fixtures/instance.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function startServer(): Promise<string> {
  const server = createServer(createKeyValueServer()).listen(0, '127.0.0.1')
  cleanups.push(() => {
    server.close()
    server.closeAllConnections()
  })
  await once(server, 'listening')
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

const documentOf = (version: number) => JSON.stringify({ general: { version }, domains: [{ name: '*', plugins: [] }] })

describe('the key-value server', () => {
  test('sets, returns and removes values by their keys', async () => {
    const address = await startServer()
    const send = async (method: string, path: string, body?: string | Uint8Array<ArrayBuffer>) => {
      const response = await fetch(`${address}/${path}`, { method, ...(body === undefined ? {} : { body }) })
      expect(response.headers.get('etag')).toBeNull()
      return [response.status, Buffer.from(await response.arrayBuffer())]
    }
    const bytes = new Uint8Array([0, 255, 10])
    expect(await send('GET', 'a%20b')).toEqual([404, Buffer.alloc(0)])
    expect(await send('PUT', 'a%20b', bytes)).toEqual([201, Buffer.alloc(0)])
    expect(await send('GET', 'a%20b')).toEqual([200, Buffer.from(bytes)])
    expect(await send('GET', 'a')).toEqual([404, Buffer.alloc(0)])
    expect(await send('DELETE', 'a%20b')).toEqual([204, Buffer.alloc(0)])
    expect(await send('DELETE', 'a%20b')).toEqual([404, Buffer.alloc(0)])
    expect((await send('GET', '%'))[0]).toBe(400)
    expect((await send('POST', 'a', 'b'))[0]).toBe(501)
  })

  test('is an API: what was set goes live, the same again changes nothing, what was removed stays live', async () => {
    const plugin_api_uri = `${await startServer()}/plugins`
    const put = (body: string) => fetch(plugin_api_uri, { method: 'PUT', body })
    await put(documentOf(1))
    const dyna = createInstance({ plugin_api_uri })
    await dyna.ready(10_000)
    const seen = record(dyna)

    await put(documentOf(1))
    await dyna.refresh()
    expect(payloadsOf(seen, 'bg_didnt_update_plugins')).toMatchObject([{ reason: 'unchanged' }])
    await put(documentOf(2))
    expect(await dyna.refresh()).toMatchObject({ updated: true })
    await fetch(plugin_api_uri, { method: 'DELETE' })
    expect(await dyna.refresh()).toMatchObject({ updated: false, reason: 'fetch', error: { status: 404 } })
    expect(dyna.status()).toMatchObject({ loaded: true, version: 2 })
    await put(documentOf(3))
    expect(await dyna.refresh()).toMatchObject({ updated: true })
  })
})
