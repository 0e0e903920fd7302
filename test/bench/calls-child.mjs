// Measures one pair in this process: calls of the composed middleware, without a network.
// Arguments: the pair's name, and for how many milliseconds. Sends its rounds, as nanoseconds per request of each side.
import assert from 'node:assert/strict'
import { createContext, finish } from './context.mjs'
import { findPair, mount, requestOf, sidesOf } from './mount.mjs'
import { median } from './statistics.mjs'

/** Requests that are made ready at a time: few, so that they are still in the processor's cache when they are served. */
const BATCH = 10
const BATCHES_PER_ROUND = 200
const WARM_UP_ROUNDS = 8

const [name, duration_ms] = process.argv.slice(2)
const pair = findPair(name)
const request = requestOf(pair)

const sides = await Promise.all(sidesOf(pair).map((side) => createSide(pair[side])))
for (const side of sides) assert.deepEqual(await answer(side), await answer(sides[0]), 'all must answer alike')
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
 * The sides take turns at every batch, so that whatever else the machine does hits all; and the middle batch of each side
 * counts, so that it does not count when it hits.
 */
async function measureRound() {
  const times = sides.map(() => [])
  for (let index = 0; index < BATCHES_PER_ROUND; index += 1) {
    for (let turn = 0; turn < sides.length; turn += 1) {
      const side = (index + turn) % sides.length
      times[side].push(await measureBatch(sides[side]))
    }
  }
  return times.map((batches) => median(batches) / BATCH)
}

async function measureBatch({ app, serve }) {
  const contexts = Array.from({ length: BATCH }, () => createContext(app, request))
  const start = process.hrtime.bigint()
  for (const ctx of contexts) {
    await serve(ctx)
    finish(ctx)
  }
  return Number(process.hrtime.bigint() - start)
}

async function answer({ app, serve }) {
  const ctx = createContext(app, request)
  await serve(ctx)
  return { status: ctx.status, headers: ctx.res.getHeaders(), body: ctx.body }
}
