import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import Koa from 'koa'
import { NO_POLLER } from '../../lib/background/poller.ts'
import type { PluginFields } from '../../lib/document.ts'
import { createDynacode } from '../../lib/dynacode.ts'
import { createTestClock } from '../../lib/testing/manual-clock.ts'
import { createRandom, type Random } from './random.ts'

/** What came of one plugin that was rolled out. */
export interface RolledOut {
  readonly badness: keyof typeof BAD
  /** Of its runs, the share that harms its request. */
  readonly rate: number
  /** Requests that it harmed in a rollout that stops itself, and in one that does not. */
  readonly harmed: number
  readonly harmed_unguarded: number
  /** After how many of its runs, and at which percentage, it was stopped; null where it was not. */
  readonly stopped: { readonly runs: number; readonly percent: number; readonly condition: string } | null
}

/** What came of a run. */
export interface RolloutReport {
  readonly seed: number
  readonly plugins: readonly RolledOut[]
  /** Plugins within their limits whose rollout stopped. */
  readonly false_stops: number
}

/** What a plugin does that harms a request. */
const BAD = {
  throws: 'throw new Error("bad")',
  refuses: 'exit(403)',
  breaks: 'ctx.req.headers["x-break"] = "1"',
  waits: 'await new Promise((done) => setTimeout(done, 12))',
} as const

/** The same limits for each: none is passed by a rate below the lowest of them. */
const STOP_WHEN = { error_rate: 0.05, exit_rate: 0.05, status_5xx_rate: { above_control: 0.05 }, p99_ms: 6 }
const STEPS = [
  { percent: 1, for: '10m' },
  { percent: 10, for: '10m' },
  { percent: 50, for: '10m' },
  { percent: 100, for: '10m' },
]
const START = Date.parse('2030-01-01T00:00:00Z')
const STEP_MS = 600_000
/** Far below each limit, and over them by far or by little. */
const RATES = [0.001, 0.001, 0.1, 0.2, 0.5, 1]

/**
 * Rolls plugins out by schedule under steady requests, one after the other: each does harm of some kind, at some rate, once
 * in a rollout that stops itself, and once in one that does not.
 *
 * @param requests in each of the four steps of a schedule
 */
export async function runRollouts(run: { seed: number; plugins: number; requests: number }): Promise<RolloutReport> {
  const random = createRandom(run.seed)
  const plugins: RolledOut[] = []
  for (let index = 0; index < run.plugins; index += 1) {
    const rate = random.pick(RATES)
    // A healthy one is fast in all of its runs: how long a wait takes is the machine's to say.
    const badness = random.pick(rate < 0.01 ? (['throws', 'refuses', 'breaks'] as const) : kinds())
    const seed = random.between(1, 1e6)
    const guarded = await rollOut(badness, rate, run.requests, createRandom(seed), STOP_WHEN)
    const unguarded = await rollOut(badness, rate, run.requests, createRandom(seed), undefined)
    const { harmed, stopped } = guarded
    plugins.push({ badness, rate, harmed, harmed_unguarded: unguarded.harmed, stopped })
  }
  const false_stops = plugins.filter(({ rate, stopped }) => rate < 0.01 && stopped !== null).length
  return { seed: run.seed, plugins, false_stops }
}

const kinds = () => Object.keys(BAD) as (keyof typeof BAD)[]

/** Rolls one plugin out, and counts the requests that it harms. */
async function rollOut(
  badness: keyof typeof BAD,
  rate: number,
  requests: number,
  { next }: Random,
  stop_when: object | undefined,
): Promise<Pick<RolledOut, 'harmed' | 'stopped'>> {
  const harm = { next, count: 0 }
  const plugin = {
    name: 'new',
    phase: 'access',
    starts_at: new Date(START).toISOString(),
    rollout: { by: 'random', steps: STEPS, ...(stop_when && { stop_when }) },
    code: `if (harm.next() < ${rate}) { harm.count += 1; ${BAD[badness]} }`,
  } as unknown as PluginFields
  const bytes = Buffer.from(JSON.stringify({ domains: [{ name: '*', plugins: [plugin] }] }))
  const clock = createTestClock(START)
  // Without the breaker, which has a part of its own in what is harmed.
  const options = {
    source: { fetch: async () => ({ bytes }) },
    globals: { harm },
    breaker_failures: 0,
    logger: false,
  } as const
  const dyna = createDynacode(options, { clock, startPoller: () => NO_POLLER })
  await dyna.refresh()
  let stopped: RolledOut['stopped'] = null
  let percent = 0
  dyna.events.on('rt_rollout_stopped', ({ condition, inside }) => {
    stopped = { runs: inside.runs, percent, condition }
  })
  const app = new Koa().use(dyna).use((ctx) => {
    ctx.status = ctx.get('x-break') === '' ? 200 : 500
    ctx.body = 'app'
  })
  const server = createServer(app.callback())
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  for (const [at, step] of STEPS.entries()) {
    percent = step.percent
    for (let batch = 0; batch < 4; batch += 1) {
      clock.set(START + STEP_MS * (at + batch / 4))
      await sendAll(server, Math.ceil(requests / 4))
    }
  }
  const closed = once(server, 'close')
  server.close()
  await closed
  await dyna.close()
  return { harmed: harm.count, stopped }
}

/** Sends requests one after the other, and reads what comes until all of them are answered. */
async function sendAll(server: Server, count: number): Promise<void> {
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
  const last = 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'
  socket.write(`${'GET / HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(count - 1)}${last}`)
  socket.resume()
  await once(socket, 'close')
}

/** What a run came to, in a line for each plugin. */
export function describeRollouts({ plugins, false_stops, seed }: RolloutReport): string {
  const lines = plugins.map(({ badness, rate, harmed, harmed_unguarded, stopped }) => {
    const end = stopped
      ? `stopped at ${stopped.percent} %, after ${stopped.runs} runs (${stopped.condition})`
      : 'went on'
    return `${badness} at ${rate}: ${harmed} requests harmed, ${harmed_unguarded} unguarded; ${end}`
  })
  const bad = plugins.filter(({ rate }) => rate > 0.01)
  const sum = (read: (one: RolledOut) => number) => bad.reduce((total, one) => total + read(one), 0)
  const per = (total: number) => (bad.length === 0 ? 0 : Math.round(total / bad.length))
  return [
    ...lines,
    `${bad.length} bad plugins: ${per(sum(({ harmed }) => harmed))} requests harmed by each, ${per(sum((one) => one.harmed_unguarded))} unguarded; ${false_stops} false stops (--seed ${seed})`,
  ].join('\n')
}
