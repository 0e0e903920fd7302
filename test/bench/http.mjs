import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { request } from 'node:http'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import autocannon from 'autocannon'
import { requestOf, sidesOf } from './mount.mjs'
import { summarize, summarizeSides } from './statistics.mjs'

const CONNECTIONS = 32
/** Turns of each side before anything counts. */
const WARM_UP_TURNS = 4

/**
 * Measures a pair over HTTP. One process serves its sides, on ports that are loaded in turns, and this one loads
 * them: two processes of the very same code differ by more than most of what is to be seen here. The servers' process is
 * started anew several times, because the optimizer does not decide alike each time.
 *
 * @param plan how many `starts`, `rounds` of each, and `requests` of each turn
 * @returns requests per second of each side, A ÷ B (and A ÷ C where there is one), and the same of the requests per second
 *   of the servers' processor time
 */
export async function measureHttp(pair, plan) {
  const rounds = []
  const sides = sidesOf(pair)
  for (let start = 0; start < plan.starts; start += 1) {
    const server = await startServer(pair, start % 2 === 0 ? sides : sides.toReversed())
    try {
      const first = await ask(pair, server.ports.a)
      for (const side of sides) assert.deepEqual(await ask(pair, server.ports[side]), first, 'all must answer alike')
      for (let turn = 0; turn < WARM_UP_TURNS; turn += 1) await measureRound(pair, server, plan.requests)
      for (let round = 0; round < plan.rounds; round += 1) rounds.push(await measureRound(pair, server, plan.requests))
    } finally {
      await server.stop()
    }
  }
  const compare = (side, rate) => summarize(rounds.map((round) => round.a[rate] / round[side][rate]))
  return summarizeSides(
    sides,
    (side) => rounds.map((round) => round[side].per_second),
    (side) => ({ ratio: compare(side, 'per_second'), cpu_ratio: compare(side, 'per_cpu_second') }),
  )
}

async function startServer({ name }, order) {
  const child = fork(join(import.meta.dirname, 'http-child.mjs'), [name, ...order], {
    env: { ...process.env, NODE_ENV: 'production' },
  })
  const exit = once(child, 'exit')
  const died = exit.then(([code]) => {
    throw new Error(`serving ${JSON.stringify(name)} ended with code ${code}`)
  })
  // Whoever waits for a message hears of it.
  died.catch(() => undefined)
  const message = async () => (await Promise.race([once(child, 'message'), died]))[0]
  const ports = await message()
  return {
    ports,
    cpu_us() {
      child.send('cpu')
      return message()
    },
    async stop() {
      if (child.connected) child.disconnect()
      await exit
    },
  }
}

/** The answer as a client sees it, but for the time of day. */
async function ask(pair, port) {
  const { method, path, headers } = requestOf(pair)
  const sent = request({ host: '127.0.0.1', port, method, path, headers: { ...headers, connection: 'close' } }).end()
  const [response] = await once(sent, 'response')
  const { date: _, ...rest } = response.headers
  return { status: response.statusCode, headers: rest, body: await text(response) }
}

async function measureRound(pair, server, requests) {
  const sides = sidesOf(pair)
  const sums = Object.fromEntries(sides.map((side) => [side, { requests: 0, ms: 0, cpu_us: 0 }]))
  // There and back: what drifts steadily hits all alike.
  for (const side of [...sides, ...sides.toReversed()]) {
    const turn = await load(pair, server, side, requests)
    for (const key of Object.keys(turn)) sums[side][key] += turn[key]
  }
  return Object.fromEntries(sides.map((side) => [side, rates(sums[side])]))
}

function rates({ requests, ms, cpu_us }) {
  return { per_second: (requests / ms) * 1e3, per_cpu_second: (requests / cpu_us) * 1e6 }
}

/** Loads one side until all is answered. The time runs from the first answer to the last: connecting is left out. */
async function load(pair, server, side, requests) {
  const { method, path, headers } = requestOf(pair)
  const cpu_before = await server.cpu_us()
  let first = 0
  let last = 0
  const run = autocannon({
    url: `http://127.0.0.1:${server.ports[side]}${path}`,
    method,
    headers,
    connections: CONNECTIONS,
    amount: requests,
    // How often autocannon looks whether it is done, in milliseconds.
    sampleInt: 5,
  })
  run.on('response', () => {
    last = performance.now()
    if (first === 0) first = last
  })
  const { errors, resets, '2xx': answers } = await run
  const cpu_us = (await server.cpu_us()) - cpu_before
  if (answers !== requests || errors + resets > 0) {
    throw new Error(`${requests} requests, ${answers} answers with 2xx, ${errors} errors, ${resets} resets`)
  }
  return { requests: requests - 1, ms: last - first, cpu_us }
}
