import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { type PluginAppOptions, plugin_app, stream_body } from 'dynacode/testing'
import request from 'supertest'
import { expect, test } from 'vitest'

const BANNER = '<p class="banner">Closed on Monday</p>'

async function start(app: PluginAppOptions['app']) {
  const server = await plugin_app(import.meta.dirname, { app })
  const client = request(server.callback())
  return { server, client, get: (path = '/') => client.get(path).set('Host', 'shop.example.com') }
}

test.each([
  ['a string', '<html><body>hello</body></html>'],
  ['a Buffer', Buffer.from('<html><body>hello</body></html>')],
])('%s gets the banner', async (_kind, body) => {
  const { get } = await start((ctx) => {
    ctx.type = 'html'
    ctx.body = body
  })
  await get().expect(200, `<html><body>hello${BANNER}</body></html>`)
})

test('a stream gets it, wherever it is cut', async () => {
  const page = '<html><body>hellö <b>🙂</b></BODY></html>'
  const bytes = Buffer.from(page)
  const expected = page.replace('</BODY>', `${BANNER}</BODY>`)
  let cut = 0
  const { get } = await start((ctx, next) => stream_body([bytes.subarray(0, cut), bytes.subarray(cut)])(ctx, next))
  for (; cut <= bytes.length; cut += 1) {
    await get().expect(200, expected)
  }
})

test('a stream of single bytes gets it once, and keeps every character', async () => {
  const page = '\uFEFF<html><body>🙂 < 🙂</body><!-- </body> --></html>🙂'
  const { get } = await start(stream_body([...Buffer.from(page)].map((byte) => Uint8Array.of(byte))))
  const { text } = await get().expect(200)
  // The client's own decoder drops the mark at the beginning.
  expect(text.replace('\uFEFF', '')).toBe(page.slice(1).replace('</body>', `${BANNER}</body>`))
})

test('only what may be the tag waits for the next chunk', async () => {
  const sent: string[] = []
  const server = await plugin_app(
    [
      { phase: 'body_filter', code: readFileSync(join(import.meta.dirname, 'inject.js'), 'utf8') },
      { phase: 'body_filter', code: 'report(String(chunk))' },
    ],
    {
      globals: { report: (text: string) => sent.push(text) },
      app: stream_body(['<p>one', '<p>two</', 'p><', 'b>three']),
    },
  )
  await request(server.callback()).get('/').expect(200, '<p>one<p>two</p><b>three')
  expect(sent).toEqual(['<p>one', '<p>two', '</p>', '<b>three', ''])
})

test('a page without the tag, one that ends in the middle of it, and an empty one stay', async () => {
  for (const chunks of [['<p>hello'], ['<p>hello</bo'], ['<p>a <', ' b'], []]) {
    const { get } = await start(stream_body(chunks))
    await get().expect(200, chunks.join(''))
  }
})

test('what is no page stays', async () => {
  const { get } = await start({ html: '</body>' })
  await get().expect(200, { html: '</body>' })
  const text = await start(stream_body(['</body>'], 'text'))
  await text.get().expect(200, '</body>')
})

test('a page in another encoding stays, byte for byte', async () => {
  const page = Buffer.from('<body>caf\xe9</body>', 'latin1')
  const { get } = await start((ctx) => {
    ctx.set('Content-Type', 'text/html; charset=iso-8859-1')
    ctx.body = Readable.from([page])
  })
  const { body } = await get()
    .buffer()
    .parse((response, done) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('end', () => done(null, Buffer.concat(chunks)))
    })
  expect(body).toEqual(page)
})

test('a stream that breaks breaks for the client', async () => {
  const { get, server } = await start(stream_body(['<body>', new Error('gone')]))
  await expect(get()).rejects.toThrow()
  expect(server.errors).toHaveLength(1)
})

test('HEAD, other paths and other hosts', async () => {
  const { client, get } = await start('<body>hello</body>')
  await client.head('/').set('Host', 'shop.example.com').expect(200)
  await get('/admin/users').expect(200, '<body>hello</body>')
  await client.get('/').set('Host', 'other.example.com').expect(200, '<body>hello</body>')
})
