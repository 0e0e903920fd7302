import { Readable } from 'node:stream'
import { setImmediate as turn } from 'node:timers/promises'
import fc from 'fast-check'
import type { Context } from 'koa'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Ask, Protocol } from '../app/differential/clients.ts'
import { findDifferences } from '../app/differential/compare.ts'
import { DEVIATIONS } from '../app/differential/deviations.ts'
import { startTwins, type Twins } from '../app/differential/servers.ts'

/** An app that a machine makes up. */
interface MadeUp {
  readonly body: (typeof BODIES)[number]
  readonly text: string
  readonly status: number | undefined
  readonly headers: Readonly<Record<string, string>>
  readonly ends: 'returns' | 'late' | 'throws' | 'refuses' | 'flushes' | 'directly'
  readonly reads: boolean
}

const BODIES = ['none', 'string', 'buffer', 'json', 'stream', 'web stream', 'blob', 'null'] as const

function makeBody({ body, text }: MadeUp): unknown {
  const bytes = Buffer.from(text)
  if (body === 'string') return text
  if (body === 'buffer') return bytes
  if (body === 'json') return { text }
  if (body === 'stream') return Readable.from([bytes, Buffer.from('!'), bytes])
  if (body === 'web stream') return new Blob([text, '!']).stream()
  return body === 'blob' ? new Blob([text]) : null
}

async function answer(made: MadeUp, ctx: Context): Promise<void> {
  if (made.reads) for await (const _ of ctx.req);
  if (made.ends === 'late') await turn()
  if (made.ends === 'directly') {
    ctx.res.statusCode = made.status ?? 200
    ctx.res.end(ctx.method === 'HEAD' || ctx.res.statusCode === 204 || ctx.res.statusCode === 304 ? '' : made.text)
    return
  }
  if (made.status !== undefined) ctx.status = made.status
  ctx.set(made.headers)
  if (made.body !== 'none') ctx.body = makeBody(made)
  if (made.status !== undefined) ctx.status = made.status
  if (made.ends === 'throws') throw new Error('made up')
  if (made.ends === 'refuses') ctx.throw(403, made.text, { headers: { 'X-Why': 'made up' } })
  if (made.ends === 'flushes') ctx.flushHeaders()
}

describe('G47', () => {
  let made: MadeUp
  let running: Twins
  beforeAll(async () => {
    running = await startTwins((ctx) => answer(made, ctx))
  })
  afterAll(() => running.close())

  const app = fc.record<MadeUp>({
    body: fc.constantFrom(...BODIES),
    text: fc.string({ unit: 'grapheme-ascii', maxLength: 40 }),
    status: fc.constantFrom(undefined, undefined, 200, 201, 204, 304, 404, 500),
    headers: fc.constantFrom<Readonly<Record<string, string>>>(
      {},
      { 'Content-Type': 'text/css' },
      { 'Cache-Control': 'no-store', Vary: 'Accept' },
      { 'Last-Modified': 'Thu, 01 Jan 2026 00:00:00 GMT', 'X-A': 'b' },
    ),
    ends: fc.constantFrom('returns', 'returns', 'late', 'throws', 'refuses', 'flushes', 'directly'),
    reads: fc.boolean(),
  })
  const asked = fc.oneof(
    fc.record<Ask>({ method: fc.constantFrom('GET', 'HEAD', 'DELETE') }),
    fc.string({ unit: fc.constantFrom('a', 'b', 'c'), minLength: 1, maxLength: 20 }).map<Ask>((body) => ({
      method: 'POST',
      body,
      headers: { 'Content-Length': String(body.length) },
    })),
  )
  const protocol = fc.constantFrom<Protocol>('HTTP/1.0', 'HTTP/1.1', 'HTTP/2')

  test('plugins that change nothing change nothing of what an app answers that a machine makes up', async () => {
    await fc.assert(
      fc.asyncProperty(app, asked, protocol, async (each, ask, over) => {
        made = each
        const name = each.body
        const found = await findDifferences(running.twins, '/', { ...ask, patience_ms: 3000 }, [over])
        const known = DEVIATIONS.map(({ covers }) => covers)
        expect(found.filter((difference) => !known.some((covers) => covers(name, difference)))).toEqual([])
      }),
      { numRuns: 60, seed: 47 },
    )
  })
})
