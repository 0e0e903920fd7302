// Other ways to run code that is not the app's own. Each does the same work for a request: looks at a token, and sets a header.
//   npm install --prefix test/bench/peers    for those that are packages; the others are measured without
import vm from 'node:vm'
import { createInstance, HOST } from '../instance.mjs'

/** What stops code that does not end. High, so that a machine that is busy with others does not stop code that does. */
const BUDGET_MS = 1000
const request = { headers: { 'x-token': 'secret' } }

/** The work as a plugin of dynacode. */
const PLUGIN = {
  name: 'token',
  phase: 'access',
  code: "if (ctx.get('X-Token') !== 'secret') exit(401)\nctx.set('Access-Control-Allow-Origin', '*')",
}

/** The work as the code of a peer that has Koa's context. */
const WITH_CONTEXT = "if (ctx.get('X-Token') !== 'secret') ctx.throw(401)\nctx.set('Access-Control-Allow-Origin', '*')"

/** The work as the code of a peer that gets a copy of the request, and says what is to be done. */
const WITH_COPY = `(function (request) {
  if (request.headers['x-token'] !== 'secret') return { status: 401, headers: {} }
  return { headers: { 'Access-Control-Allow-Origin': '*' } }
})`

const byHand = () =>
  function byHand(ctx, next) {
    if (ctx.req.headers.host === HOST) {
      if (ctx.get('X-Token') !== 'secret') ctx.throw(401)
      ctx.set('Access-Control-Allow-Origin', '*')
    }
    return next()
  }

/** A function of a context of its own, compiled once, that is called with Koa's context. Nothing stops it. */
function vmFunction() {
  const run = vm.compileFunction(WITH_CONTEXT, ['ctx'], { parsingContext: vm.createContext() })
  return (ctx, next) => {
    if (ctx.req.headers.host === HOST) run(ctx)
    return next()
  }
}

/** A script in a context of its own, run anew for each request, which `timeout` stops. */
function vmScript() {
  const context = vm.createContext()
  const script = new vm.Script(WITH_CONTEXT)
  return (ctx, next) => {
    if (ctx.req.headers.host === HOST) {
      context.ctx = ctx
      script.runInContext(context, { timeout: BUDGET_MS })
    }
    return next()
  }
}

/** Middleware around what takes a copy of the request, and returns what is to be done. */
const withCopy = (run) => (ctx, next) => {
  if (ctx.req.headers.host !== HOST) return next()
  const { status, headers } = run({ method: ctx.method, path: ctx.path, headers: ctx.req.headers })
  ctx.set(headers)
  if (status !== undefined) ctx.throw(status)
  return next()
}

async function isolate(scope) {
  const { default: ivm } = await import('isolated-vm')
  const isolated = new ivm.Isolate()
  scope.defer(() => isolated.dispose())
  const context = await isolated.createContext()
  const run = await context.eval(WITH_COPY, { reference: true })
  const options = { arguments: { copy: true }, result: { copy: true }, timeout: BUDGET_MS }
  return withCopy((request) => run.applySync(undefined, [request], options))
}

async function quickjs(scope) {
  const [{ newQuickJSWASMModuleFromVariant, shouldInterruptAfterDeadline }, { default: variant }] = await Promise.all([
    import('quickjs-emscripten-core'),
    import('@jitl/quickjs-wasmfile-release-sync'),
  ])
  const context = (await newQuickJSWASMModuleFromVariant(variant)).newContext()
  const code = `const run = ${WITH_COPY}; (text) => JSON.stringify(run(JSON.parse(text)))`
  const run = context.unwrapResult(context.evalCode(code))
  scope.defer(() => {
    run.dispose()
    context.dispose()
  })
  return withCopy((request) => {
    context.runtime.setInterruptHandler(shouldInterruptAfterDeadline(Date.now() + BUDGET_MS))
    const text = context.newString(JSON.stringify(request))
    const result = context.unwrapResult(context.callFunction(run, context.undefined, text))
    const answer = context.getString(result)
    text.dispose()
    result.dispose()
    return JSON.parse(answer)
  })
}

const PEERS = [
  ['a function of a `vm` context', vmFunction],
  ['a script in a `vm` context, with `timeout`', vmScript],
  ['isolated-vm, the request copied', isolate, 'isolated-vm'],
  ['QuickJS, the request copied', quickjs, 'quickjs-emscripten-core'],
]

function isInstalled(name) {
  try {
    import.meta.resolve(name)
    return true
  } catch {
    return false
  }
}

/** Packages that are not there. */
export const missingPeers = PEERS.flatMap(([, , name]) => (name === undefined || isInstalled(name) ? [] : [name]))

/** @type {import('../pairs/index.mjs').Pair[]} */
export const peerPairs = [
  [
    'dynacode',
    (scope) => createInstance(scope, { domains: [{ name: HOST, plugins: [PLUGIN] }] }, { budget_ms: BUDGET_MS }),
  ],
  ...PEERS.filter(([, , name]) => !missingPeers.includes(name)),
].map(([name, a]) => ({ name, about: `${name}, against the same work by hand`, request, a, b: byHand }))
