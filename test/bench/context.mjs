import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import onFinished from 'on-finished'

/** What Node and Koa have made of a request by the time the first middleware is called. */
export function createContext(app, { method, path, headers }) {
  const socket = new Socket()
  const req = new IncomingMessage(socket)
  req.method = method
  req.url = copy(path)
  req.httpVersion = '1.1'
  req.httpVersionMajor = 1
  req.httpVersionMinor = 1
  req.headers = Object.fromEntries(Object.entries(headers).map(([key, value]) => [key, copy(value)]))
  const res = new ServerResponse(req)
  res.assignSocket(socket)
  const ctx = app.createContext(req, res)
  res.statusCode = 404
  onFinished(res, () => undefined)
  return ctx
}

/** A string of its own, as the parser of a real request makes: not one whose hash is known from the last request. */
function copy(text) {
  return Buffer.from(text, 'latin1').latin1Slice()
}

/** Sending is left out; what waits for its end is not. */
export function finish({ res }) {
  res.emit('finish')
  res.emit('close')
}
