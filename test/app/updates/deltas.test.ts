import { createHash } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { gzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import type { DynacodeOptions } from '../../../lib/index.ts'
import { create_delta, document_api } from '../../../lib/tools/index.ts'
import { cachePath } from '../../fixtures/cache.ts'
import { createInstance, payloadsOf, record } from '../../fixtures/instance.ts'
import { startPluginApi } from '../../fixtures/plugin-api.ts'
import { createSigner } from '../../fixtures/signing.ts'

const numbered = (version: number) => ({
  general: { version, expires: '2999-01-01T00:00:00Z' },
  domains: Array.from({ length: 100 }, (_, n) => ({
    name: `${n}.com`,
    plugins: [{ name: 'p', phase: 'access', code: `say(${n === 50 ? 1000 + version : n})${';'.repeat(500)}` }],
  })),
})
const bytesOf = (version: number) => Buffer.from(JSON.stringify(numbered(version)))
const etagOf = (version: number) => `"${version}"`

type Answers = Partial<{ status: number; headers: Record<string, string>; body: string | Buffer }>

/** An API that has version 1, and from then on version 2, with which it answers as told where a delta is asked for. */
async function startWith(answer: (request: IncomingMessage) => Answers, options: Partial<DynacodeOptions> = {}) {
  const api = await startPluginApi()
  let version = 1
  api.behave((request, response: ServerResponse) => {
    const isAsked = request.headers['a-im'] !== undefined && request.headers['if-none-match'] === etagOf(1)
    const { status = 200, headers = {}, body = bytesOf(version) } = version > 1 && isAsked ? answer(request) : {}
    const type = { 'Content-Type': 'application/json', ETag: etagOf(version) }
    response.writeHead(status, { ...type, ...headers }).end(body)
  })
  const dyna = createInstance({ plugin_api_uri: api.uri, ...options })
  const seen = record(dyna, ['on_error', 'bg_fetch_api_success', 'bg_didnt_update_plugins'])
  await dyna.ready()
  const publish = () => {
    version += 1
  }
  publish()
  return { api, dyna, seen, publish }
}

const delta = (from = 1, to = 2) => create_delta(bytesOf(from), bytesOf(to)) as string
const manipulated = { IM: 'dynacode-edits', 'Delta-Base': etagOf(1) }
const asString = (value: unknown) => JSON.stringify(value)

describe('an API that has deltas', () => {
  test('sends what changed, and what goes live is the whole document', async () => {
    const served = document_api()
    served.publish(bytesOf(1))
    const api = await startPluginApi()
    api.behave(served.listener)
    const dyna = createInstance({ plugin_api_uri: api.uri })
    const seen = record(dyna, ['bg_fetch_api_success', 'on_error'])
    await dyna.ready()
    for (const version of [2, 3]) {
      served.publish(bytesOf(version))
      expect(await dyna.refresh()).toMatchObject({ updated: true, version, compiled: 1, reused: 99 })
      expect(await dyna.refresh()).toMatchObject({ reason: 'unchanged' })
    }
    expect(api.requests.map(({ headers }) => headers['a-im'])).toEqual([
      undefined,
      ...new Array(4).fill('dynacode-edits'),
    ])
    const statuses = payloadsOf(seen, 'bg_fetch_api_success').map(({ status, bytes }) => [status, bytes])
    const length = bytesOf(1).length
    expect(statuses).toEqual([
      [200, length],
      [226, delta().length],
      [304, 0],
      [226, delta(2, 3).length],
      [304, 0],
    ])
    expect(payloadsOf(seen, 'on_error')).toEqual([])
  })

  test('is not asked for any where plugin_api_deltas is false', async () => {
    const { api, dyna } = await startWith(() => ({}), { plugin_api_deltas: false })
    expect(await dyna.refresh()).toMatchObject({ version: 2 })
    expect(api.requests.map(({ headers }) => headers['a-im'])).toEqual([undefined, undefined])
  })

  test('may send them compressed, and without Delta-Base', async () => {
    const headers = { IM: 'dynacode-edits', 'Content-Encoding': 'gzip' }
    const { api, dyna } = await startWith(() => ({ status: 226, headers, body: gzipSync(delta()) }))
    expect(await dyna.refresh()).toMatchObject({ version: 2, compiled: 1 })
    expect(api.requests).toHaveLength(2)
  })

  test('may send the whole all the same', async () => {
    const { dyna, seen } = await startWith(() => ({}))
    expect(await dyna.refresh()).toMatchObject({ version: 2, compiled: 1 })
    expect(payloadsOf(seen, 'on_error')).toEqual([])
  })
})

describe('a delta that cannot be used: the whole document is fetched at once, which is reported', () => {
  const right = JSON.parse(delta())
  test.each<[string, Answers]>([
    ['of another digest', { body: asString({ ...right, digest: '0'.repeat(64) }) }],
    ['of another text', { body: asString({ ...right, edits: [[0, 0, ' ']] }) }],
    ['of garbage', { body: 'garbage' }],
    ['of nothing', { body: '' }],
    ['of another length', { body: asString({ ...right, length: 1 }) }],
    ['against another base', { headers: { ...manipulated, 'Delta-Base': '"7"' }, body: delta() }],
    ['of another kind', { headers: { IM: 'vcdiff' }, body: delta() }],
    ['of no kind', { headers: {}, body: delta() }],
    ['of gzip that is none', { headers: { ...manipulated, 'Content-Encoding': 'gzip' }, body: delta() }],
    ['of more than there may be', { body: asString({ ...right, edits: [[0, 0, ' '.repeat(200_000)]] }) }],
  ])('%s', async (_, answer) => {
    const { api, dyna, seen, publish } = await startWith(() => ({ status: 226, headers: manipulated, ...answer }), {
      plugin_api_max_bytes: 100_000,
    })
    expect(await dyna.refresh()).toMatchObject({ updated: true, version: 2, compiled: 1 })
    expect(dyna.status().last_error).toBeNull()
    expect(payloadsOf(seen, 'on_error')).toMatchObject([{ section: 'fetch', error: expect.any(Error) }])
    publish()
    expect(await dyna.refresh()).toMatchObject({ version: 3 })
    // And none is asked for in the minutes after that.
    expect(api.requests.map(({ headers }) => headers['a-im'] !== undefined)).toEqual([false, true, false, false])
    expect(payloadsOf(seen, 'on_error')).toHaveLength(1)
  })

  test('one that nobody asked for is no answer', async () => {
    const api = await startPluginApi(numbered(1))
    const dyna = createInstance({ plugin_api_uri: api.uri })
    await dyna.ready()
    api.answer({ status: 226, headers: manipulated, body: delta() })
    expect(await dyna.refresh()).toMatchObject({ updated: false, reason: 'fetch' })
    api.serve(numbered(2))
    expect(await dyna.refresh()).toMatchObject({ version: 2 })
  })

  test('where the whole cannot be had either, what is live stays', async () => {
    const api = await startPluginApi()
    const dyna = createInstance({ plugin_api_uri: api.uri })
    api.behave((_, response) => void response.writeHead(200, { ETag: etagOf(1) }).end(bytesOf(1)))
    await dyna.refresh()
    api.behave((request, response) => {
      if (request.headers['a-im'] === undefined) response.writeHead(500).end()
      else response.writeHead(226, { ...manipulated, ETag: etagOf(2) }).end('garbage')
    })
    expect(await dyna.refresh()).toMatchObject({ updated: false, reason: 'fetch' })
    expect(dyna.status().version).toBe(1)
  })

  test('what comes out of one is a document like any other, and refused like any other', async () => {
    const bad = Buffer.from('{"domains":"none"}')
    const change = asString({ ...JSON.parse(create_delta(bytesOf(1), bytesOf(2)) as string) })
    const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest()
    // It is one piece.
    const digest = sha256(sha256(bad)).toString('hex')
    const sha1 = createHash('sha1').update(bad).digest('hex')
    const { length } = JSON.parse(change)
    const body = asString({ length, sha1, digest, edits: [[0, length, bad.toString()]] })
    const { dyna } = await startWith(() => ({ status: 226, headers: manipulated, body }))
    expect(await dyna.refresh()).toMatchObject({ updated: false, reason: 'invalid' })
    expect(dyna.status().version).toBe(1)
  })
})

describe('deltas and what else there is', () => {
  test('close() while one comes: nothing is fetched or reported after it', async () => {
    const api = await startPluginApi()
    const dyna = createInstance({ plugin_api_uri: api.uri })
    const seen = record(dyna, ['on_error'])
    api.behave((_, response) => void response.writeHead(200, { ETag: etagOf(1) }).end(bytesOf(1)))
    await dyna.refresh()
    api.behave((_, response) => {
      response.writeHead(226, { ...manipulated, ETag: etagOf(2) })
      response.write('{"length":')
    })
    const refreshing = dyna.refresh()
    await api.got(2)
    await dyna.close()
    expect(await refreshing).toMatchObject({ updated: false, reason: 'closed' })
    expect(api.requests).toHaveLength(2)
    expect(payloadsOf(seen, 'on_error')).toEqual([])
  })

  test('the cache has the whole document, for the other processes and the next start', async () => {
    const cache_path = cachePath()
    const { api, dyna } = await startWith(() => ({ status: 226, headers: manipulated, body: delta() }), { cache_path })
    expect(await dyna.refresh()).toMatchObject({ version: 2, compiled: 1 })
    await dyna.close()
    await api.close()
    const next = createInstance({ plugin_api_uri: api.uri, cache_path })
    await next.ready()
    expect(next.status()).toMatchObject({ version: 2 })
    expect(next.status().version).toBe(2)
  })

  test('two that share a cache go on together', async () => {
    const served = document_api()
    served.publish(bytesOf(1))
    const api = await startPluginApi()
    api.behave(served.listener)
    const options = { plugin_api_uri: api.uri, cache_path: cachePath() }
    const [one, other] = [createInstance(options), createInstance(options)]
    await Promise.all([one.ready(), other.ready()])
    for (const [version, who] of [
      [2, one],
      [3, other],
      [4, one],
    ] as const) {
      served.publish(bytesOf(version))
      expect(await who.refresh()).toMatchObject({ version, compiled: 1 })
      await expect
        .poll(() => [one, other].map((each) => each.status().version), { timeout: 10_000 })
        .toEqual([version, version])
    }
  })

  test('a signed document is verified as ever: what was changed on the way, or is older, does not go live', async () => {
    const signer = await createSigner()
    const texts = new Map<number, Buffer>()
    for (const version of [1, 2, 3]) texts.set(version, Buffer.from(await signer.sign(numbered(version))))
    const textOf = (version: number) => texts.get(version) as Buffer
    const forged = Buffer.from(
      textOf(3)
        .toString()
        .replace(/.(.{10})$/, (all, rest) => `${all[0] === 'A' ? 'B' : 'A'}${rest}`),
    )
    const api = await startPluginApi()
    let answer: { before: Buffer; now: Buffer; etag: string } = { before: textOf(2), now: textOf(2), etag: '"2"' }
    api.behave((request, response) => {
      const change = request.headers['a-im'] === undefined ? undefined : create_delta(answer.before, answer.now)
      const headers = { ETag: answer.etag }
      if (change === undefined) response.writeHead(200, headers).end(answer.now)
      else response.writeHead(226, { ...headers, IM: 'dynacode-edits' }).end(change)
    })
    const dyna = createInstance({ plugin_api_uri: api.uri, trusted_keys: { keys: [signer.public_key] } })
    await dyna.ready()
    answer = { before: textOf(2), now: forged, etag: '"forged"' }
    expect(await dyna.refresh()).toMatchObject({ updated: false, reason: 'untrusted' })
    answer = { before: textOf(2), now: textOf(1), etag: '"1"' }
    expect(await dyna.refresh()).toMatchObject({ updated: false })
    expect(dyna.status().version).toBe(2)
    answer = { before: textOf(2), now: textOf(3), etag: '"3"' }
    expect(await dyna.refresh()).toMatchObject({ updated: true, version: 3 })
  })

  test('a long poll brings them, too', async () => {
    const served = document_api()
    served.publish(bytesOf(1))
    const api = await startPluginApi()
    api.behave(served.listener)
    const dyna = createInstance({ plugin_api_uri: api.uri, plugin_api_wait: 30 })
    await dyna.ready()
    await api.got(2)
    for (const version of [2, 3, 4]) {
      served.publish(bytesOf(version))
      await expect.poll(() => dyna.status().version).toBe(version)
      await api.got(version + 1)
    }
    const waiting = api.requests.filter(({ headers }) => headers.prefer !== undefined)
    expect(waiting.slice(0, 2).map(({ headers }) => headers['a-im'])).toEqual(['dynacode-edits', 'dynacode-edits'])
  })
})
