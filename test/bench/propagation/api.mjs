import { once } from 'node:events'
import { createServer } from 'node:http'

/** A plugin API that holds its answers back until there is something new, as `Prefer: wait` asks (RFC 7240). */
export async function startApi() {
  const waiting = new Set()
  let current = { text: '', etag: '"0"' }
  let saved = 0

  const answer = (request, response) => {
    if (request.headers['if-none-match'] === current.etag) response.writeHead(304, { ETag: current.etag }).end()
    else response.writeHead(200, { ETag: current.etag, 'Content-Type': 'application/json' }).end(current.text)
  }
  const server = createServer((request, response) => {
    const waits = request.headers.prefer !== undefined && request.headers['if-none-match'] === current.etag
    if (!waits) return answer(request, response)
    const done = () => {
      waiting.delete(done)
      answer(request, response)
    }
    waiting.add(done)
    response.once('close', () => waiting.delete(done))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')

  return {
    uri: `http://127.0.0.1:${server.address().port}/plugins.json`,
    publish(text) {
      saved += 1
      current = { text, etag: `"${saved}"` }
      for (const done of [...waiting]) done()
    },
    async close() {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}
