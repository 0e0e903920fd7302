// Measures one pair in this process: calls of the composed middleware, without a network.
// Arguments: the pair's name, and for how many milliseconds. Sends its rounds, as nanoseconds per request of A and B.
import assert from 'node:assert/strict'
import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import onFinished from 'on-finished'
import { findPair, mount, requestOf } from './mount.mjs'
import { median } from './statistics.mjs'

/** Requests that are made ready at a time: few, so that they are still in the processor's cache when they are served. */
const BATCH = 10
const BATCHES_PER_ROUND = 200
const WARM_UP_ROUNDS = 8

const [name, duration_ms] = process.argv.slice(2)
const pair = findPair(name)
const { method, path, headers } = requestOf(pair)

const sides = await Promise.all([pair.a, pair.b].map(createSide))
assert.deepEqual(await answer(sides[0]), await answer(sides[1]), 'A and B must answer alike')
for (let index = 0; index < WARM_UP_ROUNDS; index += 1) await measureRound()
const rounds = []
const end = performance.now() + Number(duration_ms)
while (performance.now() < end) rounds.push(await measureRound())
await Promise.all(sides.map(({ close }) => close()))
process.send(rounds)
process.disconnect()

async function createSide(make) {
  const { app, close } = await mount(make)
  return { app, close, serve: app.compose(app.middleware) }
}

/**
 * The two take turns at every batch, so that whatever else the machine does hits both; and the middle batch of each side
 * counts, so that it does not count when it hits.
 */
async function measureRound() {
  const times = [[], []]
  for (let index = 0; index < BATCHES_PER_ROUND; index += 1) {
    const first = index % 2
    times[first].push(await measureBatch(sides[first]))
    times[1 - first].push(await measureBatch(sides[1 - first]))
  }
  return times.map((batches) => median(batches) / BATCH)
}

async function measureBatch({ app, serve }) {
  const contexts = Array.from({ length: BATCH }, () => createContext(app))
  const start = process.hrtime.bigint()
  for (const ctx of contexts) {
    await serve(ctx)
    finish(ctx)
  }
  return Number(process.hrtime.bigint() - start)
}

async function answer({ app, serve }) {
  const ctx = createContext(app)
  await serve(ctx)
  return { status: ctx.status, headers: ctx.res.getHeaders(), body: ctx.body }
}

/** What Node and Koa have made of a request by the time the first middleware is called. */
function createContext(app) {
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
function finish({ res }) {
  res.emit('finish')
  res.emit('close')
}
