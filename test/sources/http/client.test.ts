import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { MockAgent } from 'undici'
import { expect, onTestFinished, test } from 'vitest'
import { createHttpClient } from '../../../lib/sources/http/client.ts'

async function serve(): Promise<{ uri: string; asked: () => number }> {
  let asked = 0
  const server = createServer((_, response) => {
    asked += 1
    response.end('here')
  }).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  onTestFinished(() => {
    server.close()
    server.closeAllConnections()
  })
  return { uri: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, asked: () => asked }
}

const get = (signal = new AbortController().signal) => ({ method: 'GET' as const, headers: {}, body: null, signal })

test('asks by an agent of its own, and over the same connection while it is open', async () => {
  const { uri, asked } = await serve()
  const client = createHttpClient(undefined)
  onTestFinished(() => client.close())
  for (let turn = 0; turn < 2; turn += 1) {
    const { statusCode, body } = await client.request(uri, get())
    expect([statusCode, await body.text()]).toEqual([200, 'here'])
  }
  expect(asked()).toBe(2)
})

test('asks by the dispatcher of the app, and leaves it open', async () => {
  const agent = new MockAgent()
  agent.disableNetConnect()
  agent.get('http://api.test').intercept({ path: '/' }).reply(200, 'there').times(2)
  const client = createHttpClient(agent)
  expect(await (await client.request('http://api.test/', get())).body.text()).toBe('there')
  await client.close()
  expect(await (await client.request('http://api.test/', get())).body.text()).toBe('there')
  await agent.close()
})

test('asks nobody when it is closed before undici is loaded, or has never asked', async () => {
  const { uri, asked } = await serve()
  const client = createHttpClient(undefined)
  const asking = client.request(uri, get())
  const closing = client.close()
  await expect(asking).rejects.toThrow(/destroyed|closed/i)
  await closing
  await expect(client.request(uri, get())).rejects.toThrow(/destroyed|closed/i)
  const unused = createHttpClient(undefined)
  await unused.close()
  expect(asked()).toBe(0)
})

test('asks nobody when the signal is aborted before undici is loaded', async () => {
  const { uri, asked } = await serve()
  const client = createHttpClient(undefined)
  onTestFinished(() => client.close())
  const controller = new AbortController()
  const asking = client.request(uri, get(controller.signal))
  controller.abort()
  await expect(asking).rejects.toMatchObject({ name: 'AbortError' })
  expect(asked()).toBe(0)
})
