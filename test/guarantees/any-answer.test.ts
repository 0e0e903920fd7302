import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createReadyInstance } from '../fixtures/instance.ts'
import { startPluginApi } from '../fixtures/plugin-api.ts'

const GOOD = { domains: [{ name: '*', plugins: [{ name: 'p', phase: 'content', code: `say('good')` }] }] }
const OTHER = { domains: [{ name: '*', plugins: [{ name: 'q', phase: 'content', code: `say('other')` }] }] }

const status = fc.oneof(
  { weight: 4, arbitrary: fc.constant(200) },
  { weight: 2, arbitrary: fc.integer({ min: 200, max: 599 }) },
)
const text = fc.stringMatching(/^[\x20-\x7e\x80-\xff]{0,40}$/)
const headers = fc.dictionary(
  fc.constantFrom(
    'ETag',
    'Content-Type',
    'Content-Encoding',
    'Location',
    'Retry-After',
    'Last-Modified',
    'Set-Cookie',
    'X-Any',
  ),
  fc.oneof(
    text,
    fc.constantFrom(
      '"x"',
      'W/"x"',
      'gzip',
      'br',
      'gzip, br',
      'text/html',
      'application/json',
      '/',
      'http://[',
      '5',
      '1e9',
      '-1',
    ),
  ),
  { maxKeys: 2 },
)
const body = fc.oneof(
  fc
    .tuple(fc.constantFrom(GOOD, OTHER), fc.nat())
    .map(([document, version]) => Buffer.from(JSON.stringify({ ...document, general: { version } }))),
  fc.uint8Array({ maxLength: 100 }).map((bytes) => Buffer.from(bytes)),
  fc.json().map((json) => Buffer.from(json)),
  fc.tuple(fc.nat(), fc.nat(255)).map(([where, what]) => {
    const bytes = Buffer.from(JSON.stringify(OTHER))
    bytes[where % bytes.length] = what
    return bytes
  }),
)
/** How much of the body comes, of what was promised, before the connection ends. */
const truncated = fc.option(fc.integer({ min: 0, max: 30 }), { freq: 5 })

describe('G12 any bytes, status and headers from the API', () => {
  test('leave the old program live or make the wholly new one so, and throw nothing', async () => {
    const api = await startPluginApi(GOOD)
    const dyna = await createReadyInstance({ plugin_api_uri: api.uri })
    const unhandled: unknown[] = []
    const note = (error: unknown) => unhandled.push(error)
    process.on('unhandledRejection', note)
    const live = () => dyna.status().plugins.map(({ name, state }) => `${name} ${state}`)
    let updates = 0
    try {
      await fc.assert(
        fc.asyncProperty(status, headers, body, truncated, async (status, headers, body, cut) => {
          const before = live()
          api.behave((_request, response) => {
            for (const [name, value] of Object.entries(headers)) response.setHeader(name, value)
            response.statusCode = status
            if (cut === null) return response.end(body)
            response.setHeader('Content-Length', body.length + 1)
            response.write(body.subarray(0, cut), () => response.destroy())
            return response.flushHeaders()
          })
          const refresh = await dyna.refresh()
          if (refresh.updated) {
            updates += 1
            expect([status, cut]).toEqual([200, null])
            expect(dyna.status()).toMatchObject({ version: refresh.version, last_error: null })
            expect(live().length).toBeGreaterThanOrEqual(refresh.plugins)
          } else {
            expect(live()).toEqual(before)
          }
        }),
        { numRuns: 2000 },
      )
    } finally {
      process.off('unhandledRejection', note)
    }
    expect(unhandled).toEqual([])
    expect(updates).toBeGreaterThan(50)
  })
})
