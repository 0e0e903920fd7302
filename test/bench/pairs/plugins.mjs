// What plugins cost over the same work written by hand as Koa middleware.
import onFinished from 'on-finished'
import { createInstance, HOST } from '../instance.mjs'

const counter = { finished: 0 }

const CORS = { name: 'cors', phase: 'header_filter', code: "ctx.set('Access-Control-Allow-Origin', '*')" }

/** One plugin, the smallest that does something. */
export const ONE = [CORS]

export const FIVE = [
  {
    name: 'old paths',
    phase: 'rewrite',
    code: "if (ctx.path.startsWith('/old/')) ctx.path = ctx.path.slice(4)",
  },
  { name: 'token', phase: 'access', code: "if (ctx.get('X-Token') !== 'secret') exit(401, 'who is there?')" },
  { name: 'maintenance', phase: 'content', code: "if (ctx.path === '/maintenance') say('back soon')" },
  CORS,
  { name: 'count', phase: 'log', code: 'counter.finished += 1' },
]

/** Passes the first four by and takes part in all of them. */
export const REQUEST_FOR_FIVE = { path: '/old/hello', headers: { 'x-token': 'secret' } }

const plain = () => []

const withPlugins = (name, plugins) => (scope) =>
  createInstance(scope, { domains: [{ name, plugins }] }, { globals: { counter } })

async function cors(ctx, next) {
  await next()
  if (ctx.req.headers.host === HOST) ctx.set('Access-Control-Allow-Origin', '*')
}

/** The five as one function, as short as it goes. */
async function allFive(ctx, next) {
  if (ctx.req.headers.host !== HOST) return next()
  onFinished(ctx.res, () => {
    counter.finished += 1
  })
  if (ctx.path.startsWith('/old/')) ctx.path = ctx.path.slice(4)
  if (ctx.get('X-Token') !== 'secret') {
    ctx.status = 401
    ctx.body = 'who is there?'
  } else if (ctx.path === '/maintenance') ctx.body = 'back soon\n'
  else await next()
  ctx.set('Access-Control-Allow-Origin', '*')
}

/** The five as most people would write them: one middleware for each concern. */
const oneByOne = [
  async function count(ctx, next) {
    if (ctx.req.headers.host === HOST) {
      onFinished(ctx.res, () => {
        counter.finished += 1
      })
    }
    await next()
  },
  cors,
  async function oldPaths(ctx, next) {
    if (ctx.req.headers.host === HOST && ctx.path.startsWith('/old/')) ctx.path = ctx.path.slice(4)
    await next()
  },
  async function token(ctx, next) {
    if (ctx.req.headers.host === HOST && ctx.get('X-Token') !== 'secret') {
      ctx.status = 401
      ctx.body = 'who is there?'
    } else await next()
  },
  async function maintenance(ctx, next) {
    if (ctx.req.headers.host === HOST && ctx.path === '/maintenance') ctx.body = 'back soon\n'
    else await next()
  },
]

/** @type {import('./index.mjs').Pair[]} */
export const pluginPairs = [
  { name: 'noise', about: 'plain Koa against plain Koa', a: plain, b: plain },
  {
    name: 'no plugin',
    about: 'an instance without a plugin for the host, against no middleware at all',
    a: withPlugins('other.test', [CORS]),
    b: plain,
    reach: { http: { ratio: 0.99 } },
  },
  {
    name: 'no plugin, empty twin',
    about: 'the same, against a middleware that only calls `next()`',
    levels: ['in_process'],
    a: withPlugins('other.test', [CORS]),
    b: () => (_ctx, next) => next(),
  },
  {
    name: 'one plugin',
    about: 'a header_filter plugin, against a middleware that sets the same header',
    a: withPlugins(HOST, [CORS]),
    b: () => cors,
    reach: { http: { ratio: 0.98 } },
  },
  {
    name: 'five plugins',
    about: 'rewrite, access, content, header_filter and log, against one function that does all five',
    request: REQUEST_FOR_FIVE,
    a: withPlugins(HOST, FIVE),
    b: () => allFive,
    reach: { http: { ratio: 0.96 } },
  },
  {
    name: 'five plugins, five twins',
    about: 'the same, against a middleware for each',
    request: REQUEST_FOR_FIVE,
    a: withPlugins(HOST, FIVE),
    b: () => oneByOne,
    reach: { http: { ratio: 1 } },
  },
]
