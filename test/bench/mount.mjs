import Koa from 'koa'
import { HOST } from './instance.mjs'
import { everyPair } from './pairs/index.mjs'

/** What of a pair is measured, beginning with what is judged. */
export const sidesOf = (pair) => ['a', 'b', 'c'].filter((side) => side in pair)

/** The pair of a name, as the measuring processes get it from their command line. */
export function findPair(name) {
  const pair = everyPair.find((candidate) => candidate.name === name)
  if (pair === undefined) throw new Error(`no pair is named ${JSON.stringify(name)}`)
  return pair
}

/** The request that both sides of a pair are asked. */
export function requestOf({ request = {} }) {
  return { method: 'GET', path: '/hello', ...request, headers: { host: HOST, ...request.headers } }
}

/**
 * The smallest app there is, behind one side of a pair: the less an app does itself, the more shows what stands in front.
 *
 * @param side one of the sides of a pair
 * @returns the app, and what closes it
 */
export async function mount(side) {
  const closings = []
  const app = new Koa()
  const middleware = await side({ defer: (close) => closings.push(close) })
  for (const each of [middleware].flat()) app.use(each)
  app.use(async function hello(ctx) {
    ctx.body = 'hello world'
  })
  const close = () => Promise.all(closings.map((each) => each()))
  return { app, close }
}
