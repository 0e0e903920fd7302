import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import { createSigner, type Signer } from '../fixtures/signing.ts'
import type { Random } from './random.ts'

/** A plugin API that does everything wrong that an API can do, by a script that a seed gives. */
export interface FaultyApi {
  readonly uri: string
  /** How often it did what. */
  readonly counts: Readonly<Record<string, number>>
  /** The version that is to be live. */
  version(): number
  /** Makes a new version. */
  publish(): Promise<void>
  /** No more faults from now on. */
  heal(): void
  close(): Promise<void>
}

/** What is live: a version, and the bytes that the API has for it. */
interface Published {
  readonly version: number
  readonly body: Buffer
  readonly etag: string
}

type Answer = (request: IncomingMessage, response: ServerResponse) => void | Promise<void>

const HOUR = 3_600_000

/** A document whose every phase marks the request with its version. */
export function documentOf(version: number, mark: number | string = version) {
  const plugins = [
    { name: 'mark', phase: 'rewrite', code: `ctx.set('X-Version', '${mark}')` },
    { name: 'check', phase: 'header_filter', code: `await null; ctx.set('X-Check', '${mark}')` },
    // Every third version has a plugin that does not compile: the others are live all the same.
    ...(version % 3 === 0 ? [{ name: 'broken', phase: 'access', code: `this is version ${version}` }] : []),
  ]
  const expires = new Date(Date.now() + HOUR).toISOString()
  return { general: { version, expires }, domains: [{ name: '*', plugins }] }
}

/**
 * Starts it, with version 1.
 *
 * @param signer signs the documents, where they are to be signed
 * @param hang_ms longer than any client waits
 */
export async function startFaultyApi(random: Random, signer: Signer | undefined, hang_ms: number): Promise<FaultyApi> {
  const stranger = signer && (await createSigner('ES256', signer.kid))
  const seal = async (document: unknown, by = signer) =>
    Buffer.from(by === undefined ? JSON.stringify(document) : await by.sign(document))
  const publishOf = async (version: number): Promise<Published> => ({
    version,
    body: await seal(documentOf(version)),
    etag: `"${version}"`,
  })
  const all = [await publishOf(1)]
  const current = () => all.at(-1) as Published
  const counts: Record<string, number> = {}
  let healthy = false

  const send = (response: ServerResponse, body: Buffer | string, headers: Record<string, string> = {}) =>
    void response.writeHead(200, { 'Content-Type': 'application/json', ...headers }).end(body)

  const serve: Answer = (request, response) => {
    const { body, etag } = current()
    if (request.headers['if-none-match'] === etag) return void response.writeHead(304, { ETag: etag }).end()
    send(response, body, { ETag: etag })
  }
  const serveLate = async (request: IncomingMessage, response: ServerResponse, ms: number) => {
    await wait(ms)
    return serve(request, response)
  }
  /** What must never go live: it would mark requests as bad. */
  const bad = (fields: object) => seal({ ...documentOf(current().version + 500, 'bad'), ...fields })
  const statusOf =
    (status: number, headers: Record<string, string> = {}): Answer =>
    (_request, response) =>
      void response.writeHead(status, headers).end('{"error":true}')

  const faults: Record<string, Answer> = {
    latency: (request, response) => serveLate(request, response, random.between(10, 150)),
    compressed: (_request, response) =>
      send(response, gzipSync(current().body), { ETag: current().etag, 'Content-Encoding': 'gzip' }),
    'reset at once': ({ socket }) => void socket.resetAndDestroy(),
    'reset within the body': (_request, response) => {
      response
        .writeHead(200, { ETag: '"reset"' })
        .write(current().body.subarray(0, 200), () => response.socket?.resetAndDestroy())
    },
    'half a body': (_request, response) => {
      const { body } = current()
      response
        .writeHead(200, { ETag: '"half"', 'Content-Length': body.length })
        .write(body.subarray(0, body.length / 2), () => response.destroy())
    },
    'half a body that calls itself whole': (_request, response) => {
      const { body, etag } = current()
      send(response, body.subarray(0, body.length / 2), { ETag: etag })
    },
    garbage: (_request, response) => {
      send(response, Buffer.from(Array.from({ length: 300 }, () => random.between(0, 255))), { ETag: current().etag })
    },
    HTML: (_request, response) =>
      send(response, '<html>Log in</html>', { 'Content-Type': 'text/html', ETag: current().etag }),
    'a bomb': (_request, response) => send(response, BOMB, { 'Content-Encoding': 'gzip', ETag: current().etag }),
    'a broken encoding': (_request, response) =>
      send(response, current().body, { 'Content-Encoding': 'br', ETag: '"br"' }),
    'a bad frame under the ETag of the good document': async (_request, response) =>
      send(response, await bad({ domains: 'none' }), { ETag: current().etag }),
    'too many plugins': async (_request, response) => {
      const plugins = Array.from({ length: 50 }, (_, id) => ({
        ...documentOf(1, 'bad').domains[0]?.plugins[0],
        id,
        name: `${id}`,
      }))
      send(response, await bad({ domains: [{ name: '*', plugins }] }), { ETag: '"many"' })
    },
    'a 304 that nobody asked for': (_request, response) => void response.writeHead(304, { ETag: current().etag }).end(),
    'another ETag each time': (_request, response) => send(response, current().body, { ETag: `"${random.next()}"` }),
    'an ETag that cannot be sent back': (_request, response) => send(response, current().body, { ETag: '"\u00e9"' }),
    'no ETag': (_request, response) => send(response, current().body),
    '401': statusOf(401),
    '404': statusOf(404, { ETag: '"404"' }),
    '500': statusOf(500),
    'a redirect': statusOf(302, { Location: '/elsewhere' }),
    '429 for a second': statusOf(429, { 'Retry-After': '1' }),
    '503 for no time': statusOf(503, { 'Retry-After': '-7' }),
    '503 until a date': (_request, response) =>
      void response.writeHead(503, { 'Retry-After': new Date(Date.now() + 1000).toUTCString() }).end(),
    hanging: async (_request, response) => {
      await wait(hang_ms)
      response.destroy()
    },
    'hanging within the body': async (_request, response) => {
      response.writeHead(200).write('{"domains":')
      await wait(hang_ms)
      response.destroy()
    },
    'byte by byte': async (_request, response) => {
      response.writeHead(200)
      for (const byte of current().body) {
        if (response.destroyed) return
        response.write(Buffer.from([byte]))
        await wait(20)
      }
    },
    ...(stranger && {
      'an older version': (_request: IncomingMessage, response: ServerResponse) => {
        send(response, (all.at(-random.between(1, 5)) ?? current()).body, { ETag: '"older"' })
      },
      'a stranger’s signature': async (_request: IncomingMessage, response: ServerResponse) => {
        send(response, await seal(documentOf(current().version + 500, 'bad'), stranger), { ETag: current().etag })
      },
      'an unsigned document': (_request: IncomingMessage, response: ServerResponse) => {
        send(response, JSON.stringify(documentOf(current().version + 500, 'bad')))
      },
      'an expired version': async (_request: IncomingMessage, response: ServerResponse) => {
        const expired = { version: current().version + 500, expires: '2020-01-01T00:00:00Z' }
        send(response, await bad({ general: expired }))
      },
      'the same version with other content': async (_request: IncomingMessage, response: ServerResponse) => {
        // Who has not seen that version yet takes this one for it; so it has to be as good.
        const { version } = random.pick(all.slice(-3))
        send(response, await seal({ ...documentOf(version), other: random.next() }))
      },
    }),
  }

  const server = createServer((request, response) => {
    response.on('error', () => undefined)
    const wrong = !healthy && random.next() < 0.6
    const name = wrong ? random.pick(Object.keys(faults)) : 'as it should'
    counts[name] = (counts[name] ?? 0) + 1
    const answer = wrong ? (faults[name] as Answer) : serve
    Promise.resolve(answer(request, response)).catch(() => response.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')

  return {
    uri: `http://127.0.0.1:${(server.address() as AddressInfo).port}/plugins.json`,
    counts,
    version: () => current().version,
    async publish() {
      all.push(await publishOf(current().version + 1))
    },
    heal() {
      healthy = true
    },
    async close() {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}

/** 20 MB, in 20 KB. */
const BOMB = gzipSync(Buffer.alloc(20_000_000))
