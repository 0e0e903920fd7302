// How long `check` takes over 1 000 plugins, beside compiling them: `npx tsx test/bench/check.mjs`. With the sources: what it
// calls is inside the package.
// Each is measured in runs that take turns, with a compiler and a judge of expressions that know nothing yet.
import { performance } from 'node:perf_hooks'
import { createCompiler } from '../../lib/background/compiling/compiler.ts'
import { inspectDocument } from '../../lib/tools/inspect-document.ts'

const COUNT = 1000
const ROUNDS = 7

/** Plugins of the usual kinds, each one different. */
const CODES = [
  (n) => `const token = ctx.get('X-Token-${n}')\nif (token === '' || token.length > 64) exit(401, 'token ${n}?')`,
  (n) => `ctx.set('Access-Control-Allow-Origin', 'https://app-${n}.example')\nctx.vary('Origin')`,
  (n) => `if (/^\\/api\\/v${n}\\/[a-z]+$/.test(ctx.path)) {\n  ctx.path = ctx.path.replace('/v${n}/', '/')\n}`,
  (n) =>
    `const key = 'hits:${n}:' + ctx.ip\nconst hits = store.incr(key, 1, 0, 60)\nif (hits > (params.limit ?? 10)) {\n  exit(429, 'slow down', { 'Retry-After': '60' })\n}`,
  (n) =>
    `const answer = await fetch('http://auth-${n}/check', { headers: { cookie: ctx.get('cookie') }, signal })\nif (!answer.ok) exit(answer.status)\nconst { user } = await answer.json()\nctx.state.user = user`,
  (n) =>
    `if (/^Mozilla\\/\\d+\\.\\d+ \\((?:bot|crawler)[^)]*\\)/i.test(ctx.get('user-agent'))) exit(403, 'no robots on ${n}')`,
  (n) =>
    `const rows = []\nfor (const [name, value] of Object.entries(ctx.query)) {\n  if (name.startsWith('x${n}')) rows.push(\`\${name}=\${value}\`)\n}\nsay(rows.join('&'))`,
]
const PHASES = ['access', 'header_filter', 'rewrite', 'access', 'access', 'access', 'content']
const plugins = Array.from({ length: COUNT }, (_, index) => ({
  name: `plugin ${index}`,
  phase: PHASES[index % CODES.length],
  on_failure: 'closed',
  code: CODES[index % CODES.length](index),
}))
const text = JSON.stringify({ domains: [{ name: '*', plugins }] })

function compile() {
  const compiler = createCompiler({ compile_cache_max: COUNT, globals: {} })
  const started = performance.now()
  for (const { name, code } of plugins) compiler.compile({ name, code, guard: 'on' })
  return performance.now() - started
}

async function check() {
  const started = performance.now()
  const { found } = await inspectDocument({ text, manifest: undefined })
  const time = performance.now() - started
  const strange = found.filter(({ finding }) => finding.severity !== 'note')
  if (strange.length > 0) throw new Error(strange[0].finding.message)
  return time
}

const median = (times) => times.toSorted((a, b) => a - b)[Math.floor(times.length / 2)]

const times = { compile: [], check: [] }
for (let round = 0; round <= ROUNDS; round += 1) {
  const [compiled, checked] = [compile(), await check()]
  // The first round is for V8, and loads recheck.
  if (round === 0) {
    console.log(`first round: compile ${compiled.toFixed(0)} ms, check ${checked.toFixed(0)} ms`)
    continue
  }
  times.compile.push(compiled)
  times.check.push(checked)
}
const [compiled, checked] = [median(times.compile), median(times.check)]
console.log(`${COUNT} plugins: compile ${compiled.toFixed(0)} ms, check ${checked.toFixed(0)} ms (median of ${ROUNDS})`)
console.log(`check takes ${(checked / compiled).toFixed(1)} times as long as compiling (at most 5 is the aim)`)
if (checked > 5 * compiled) process.exitCode = 1
