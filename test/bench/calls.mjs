import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { sidesOf } from './mount.mjs'
import { summarize, summarizeSides } from './statistics.mjs'

/**
 * Measures a pair in process. Each of several processes has both sides: the optimizer does not decide alike each time.
 *
 * @param plan how many `processes`, and for how long each measures (`duration_ms`)
 * @returns nanoseconds per request of each side, and of A over the others
 */
export async function measureCalls(pair, plan) {
  const rounds = []
  for (let index = 0; index < plan.processes; index += 1) {
    const child = fork(join(import.meta.dirname, 'calls-child.mjs'), [pair.name, String(plan.duration_ms)], {
      env: { ...process.env, NODE_ENV: 'production' },
    })
    const exit = once(child, 'exit')
    const result = await Promise.race([once(child, 'message'), exit.then(([code]) => fail(pair, code))])
    rounds.push(...result[0])
    await exit
  }
  const sides = sidesOf(pair)
  const of = (round, side) => round[sides.indexOf(side)]
  return summarizeSides(
    sides,
    (side) => rounds.map((round) => of(round, side)),
    (side) => ({
      ratio: summarize(rounds.map((round) => of(round, 'a') / of(round, side))),
      over: summarize(rounds.map((round) => of(round, 'a') - of(round, side))),
    }),
  )
}

function fail(pair, code) {
  throw new Error(`measuring ${JSON.stringify(pair.name)} ended with code ${code}`)
}
