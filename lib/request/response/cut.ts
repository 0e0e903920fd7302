import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/**
 * Cuts a response that has begun, so that the client does not take the part for the whole: over HTTP/2 by an error code,
 * over HTTP/1 by the connection's end, which is a reset where an ordinary end would be that of the body, too.
 */
export function cutResponse(res: ServerResponse, error: unknown): void {
  if (res.req.httpVersionMajor >= 2) {
    res.destroy(error instanceof Error ? error : new Error('the response was cut', { cause: error }))
    return
  }
  const isEndTheBodys = res.headersSent && !res.chunkedEncoding && !res.hasHeader('Content-Length')
  if (isEndTheBodys) resetWhenDestroyed(res.socket)
  // Without the error: the server would take it for one of the client's.
  res.destroy()
}

/** `resetAndDestroy()` would end the connection in good order first. TLS tells by itself an end that is none. */
function resetWhenDestroyed(socket: (Socket & { resetAndClosing?: boolean; encrypted?: boolean }) | null): void {
  const isTcp = socket?.remoteAddress !== undefined && socket.encrypted !== true
  if (isTcp) socket.resetAndClosing = true
}
