import type { IncomingMessage, RequestListener } from 'node:http'
import { buffer } from 'node:stream/consumers'

/**
 * Keeps values in memory and speaks plain HTTP, as Kyoto Tycoon and others like it do: the path is the key, GET returns its
 * value, PUT sets it, DELETE removes it. There are no ETags.
 */
export function createKeyValueServer(): RequestListener {
  const values = new Map<string, Buffer>()

  async function answer(req: IncomingMessage, key: string): Promise<[status: number, body?: Buffer]> {
    const value = values.get(key)
    switch (req.method) {
      case 'GET':
        return value === undefined ? [404] : [200, value]
      case 'PUT':
        values.set(key, await buffer(req))
        return [201]
      case 'DELETE':
        return [values.delete(key) ? 204 : 404]
      default:
        return [501]
    }
  }

  return async (req, res) => {
    try {
      const [status, body] = await answer(req, decodeURIComponent((req.url ?? '/').slice(1)))
      res.writeHead(status, { 'content-type': 'application/octet-stream' }).end(body)
    } catch {
      res.writeHead(400).end()
    }
  }
}
