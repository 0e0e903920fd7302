import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { MockAgent } from 'undici'
import { describe, expect, onTestFinished, test } from 'vitest'
import { createHttpClient } from '../../../lib/sources/http/client.ts'
import { letPass } from '../../../lib/sources/http/exchange.ts'

async function serve(
  answer: RequestListener = (_, response) => response.end('here'),
): Promise<{ uri: string; asked: () => number }> {
  let asked = 0
  const server = createServer((request, response) => {
    asked += 1
    answer(request, response)
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
    expect([statusCode, await text(body)]).toEqual([200, 'here'])
  }
  expect(asked()).toBe(2)
})

test('sends a body, and not the user and password of the address', async () => {
  const came: unknown[] = []
  const { uri } = await serve(async (request, response) => {
    came.push(request.headers.authorization, request.headers['content-length'], await text(request))
    response.end('here')
  })
  const client = createHttpClient(undefined)
  onTestFinished(() => client.close())
  const { body } = await client.request(uri.replace('//', '//ada:hunter2@'), { ...get(), method: 'POST', body: '{}' })
  expect([await text(body), ...came]).toEqual(['here', undefined, '2', '{}'])
})

test('asks by the dispatcher of the app, and leaves it open', async () => {
  const agent = new MockAgent()
  agent.disableNetConnect()
  agent.get('http://api.test').intercept({ path: '/' }).reply(200, 'there').times(2)
  const client = createHttpClient(agent)
  expect(await text((await client.request('http://api.test/', get())).body)).toBe('there')
  await client.close()
  expect(await text((await client.request('http://api.test/', get())).body)).toBe('there')
  await agent.close()
})

test('asks nobody when it is closed before it has begun, or has never asked', async () => {
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

test('asks nobody when the signal is aborted before it has begun', async () => {
  const { uri, asked } = await serve()
  const client = createHttpClient(undefined)
  onTestFinished(() => client.close())
  const controller = new AbortController()
  const asking = client.request(uri, get(controller.signal))
  controller.abort()
  await expect(asking).rejects.toMatchObject({ name: 'AbortError' })
  expect(asked()).toBe(0)
})

describe('of an answer that nobody wants to read', () => {
  const answerOf = async (answer: RequestListener, signal?: AbortSignal) => {
    const { uri } = await serve(answer)
    const client = createHttpClient(undefined)
    onTestFinished(() => client.close())
    return client.request(uri, get(signal))
  }
  const signal = new AbortController().signal

  test.each([1000, 100_000, 1_000_000])('%d bytes are let past, or end the connection', async (bytes) => {
    const answer = await answerOf((_, response) => response.end(Buffer.alloc(bytes)))
    await letPass(answer, signal)
    expect([answer.body.destroyed, answer.body.readableEnded]).toEqual([true, bytes <= 128 * 1024])
  })

  test('half of it is enough, where the rest does not come', async () => {
    const answer = await answerOf((_, response) => {
      response.write('half')
      setImmediate(() => response.destroy())
    })
    await letPass(answer, signal)
  })

  test('the signal ends the wait for what comes too slowly', async () => {
    const closing = new AbortController()
    const answer = await answerOf((_, response) => response.write('half'), closing.signal)
    const passing = letPass(answer, closing.signal)
    closing.abort()
    await expect(passing).rejects.toMatchObject({ name: 'AbortError' })
    expect(answer.body.destroyed).toBe(true)
  })
})
