import { fork } from 'node:child_process'
import { once } from 'node:events'
import { Agent, get } from 'node:http'
import { join } from 'node:path'
import { createRandom, type Random } from '../chaos/random.ts'
import { madeUpHost, pickHost } from './documents.ts'
import type { Sample, Stretch } from './verdict.ts'

/** How long a stretch of load is, and how much there is of it. */
export interface Plan {
  readonly seed: number
  /** Of load, warm-up left out. */
  readonly seconds: number
  readonly every_ms: number
  readonly stretches: number
  readonly connections: number
  /** Hosts that are made up while it warms up. */
  readonly made_up_hosts: number
  /** What the process leaks on purpose: `heap`, `handles` or `latency`. */
  readonly leak?: string | undefined
}

/**
 * Loads a process whose document changes all the time.
 *
 * @param told each stretch, when it is over
 */
export async function soak(plan: Plan, told: (stretch: Stretch) => void = () => undefined): Promise<Stretch[]> {
  const args = [plan.seed, plan.every_ms, plan.leak ?? ''].map(String)
  const child = fork(join(import.meta.dirname, 'soak-process.ts'), args, {
    execArgv: ['--expose-gc', '--import', 'tsx'],
    // A plugin that rejects where nobody waits must not end the process by what the caller's environment says.
    env: { PATH: process.env.PATH },
  })
  const exit = once(child, 'exit').then(([code, signal]) => {
    throw new Error(`the process ended with ${code ?? signal}`)
  })
  exit.catch(() => undefined)
  const message = async () => (await Promise.race([once(child, 'message'), exit]))[0]
  const agent = new Agent({ keepAlive: true, maxSockets: plan.connections })
  try {
    const load = createLoad((await message()) as number, agent, plan)
    const stretch_ms = (plan.seconds * 1000) / plan.stretches
    const run = async (ms: number, made_up: number): Promise<Stretch> => {
      child.send('go')
      const { times, failed } = await Promise.race([load(ms, made_up), exit])
      child.send('sample')
      const sample = (await message()) as Sample
      const sorted = times.toSorted((a, b) => a - b)
      const at = (share: number) => sorted[Math.floor((sorted.length - 1) * share)] as number
      return { sample, requests: times.length, failed, p50_ms: at(0.5), p99_ms: at(0.99) }
    }
    // Until the caches are full and the code is compiled; as long as a third of what counts.
    await run((plan.seconds * 1000) / 3, plan.made_up_hosts)
    const stretches: Stretch[] = []
    for (let count = 0; count < plan.stretches; count += 1) {
      const stretch = await run(stretch_ms, 0)
      told(stretch)
      stretches.push(stretch)
    }
    return stretches
  } finally {
    agent.destroy()
    child.removeAllListeners('message')
    child.kill()
    await exit.catch(() => undefined)
  }
}

/** Asks for hosts of the document and for made-up ones, on all connections, for a time and until enough are made up. */
function createLoad(port: number, agent: Agent, { seed, connections }: Plan) {
  const random = createRandom(seed + 1)
  return async (ms: number, least: number) => {
    const end = performance.now() + ms
    const times: number[] = []
    let made_up = 0
    let failed = 0
    const client = async () => {
      while (performance.now() < end || made_up < least) {
        const isMadeUp = random.next() < 0.5
        if (isMadeUp) made_up += 1
        const took = await ask(port, agent, isMadeUp ? madeUpHost(random) : pickHost(random), random)
        if (took === undefined) failed += 1
        else times.push(took)
      }
    }
    await Promise.all(Array.from({ length: connections }, client))
    return { times, failed }
  }
}

/** @returns how long a request took, in milliseconds; undefined when the answer was not the app's */
function ask(port: number, agent: Agent, host: string, random: Random): Promise<number | undefined> {
  const started = performance.now()
  return new Promise((resolve) => {
    const path = `/${random.between(0, 100)}`
    get({ host: '127.0.0.1', port, path, agent, headers: { host } }, (response) => {
      response.resume()
      response.on('end', () => resolve(response.statusCode === 200 ? performance.now() - started : undefined))
    }).on('error', () => resolve(undefined))
  })
}
