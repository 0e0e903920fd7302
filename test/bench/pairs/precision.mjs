// What it costs that plugins are for some requests only.
import { createInstance, HOST } from '../instance.mjs'

const paths = Array.from({ length: 50 }, (_, index) => `/area-${index}/hello`)
/** One in the middle. */
const request = { path: paths[25] }

const fifty = paths.map((path, index) => ({
  name: `area ${index}`,
  phase: 'header_filter',
  when: { paths: [path] },
  code: `ctx.set('X-Area', '${index}')`,
}))

const byConditions = (scope) => createInstance(scope, { domains: [{ name: HOST, plugins: fifty }] })

/** The same by hand: one `if` after the other, as a function that has grown with the areas would have them. */
const source = paths.map((path, index) => `if (path === '${path}') ctx.set('X-Area', '${index}')`).join('\n')
const setArea = new Function('ctx', 'path', source)

async function byHand(ctx, next) {
  await next()
  if (ctx.req.headers.host === HOST) setArea(ctx, ctx.path)
}

/** @type {import('./index.mjs').Pair[]} */
export const precisionPairs = [
  {
    name: 'fifty plugins, one matches',
    about: 'fifty plugins for a path each, one of which is asked for, against a middleware with fifty `if`s',
    request,
    a: byConditions,
    b: () => byHand,
    reach: { http: { ratio: 0.98 } },
  },
]
