import type { Random } from '../chaos/random.ts'

/** Domains at the most; each document has some of them. */
const DOMAINS = 200
/** Of the plugins, how many change from one document to the next. */
const CHANGES = 12

const NAMES = [
  (n: number) => `h${n}.soak.test`,
  (n: number) => `*.w${n}.soak.test`,
  (n: number) => `^e${n}-\\d+\\.soak\\.test$`,
]

/** What plugins do, each in its way, some of them badly. */
const CODES = [
  { phase: 'header_filter', code: (n: number) => `ctx.set('X-Plugin', '${n}')` },
  { phase: 'access', code: (n: number) => `for (let turn = 0; turn < 20; turn += 1) ctx.state.sum = turn * ${n}` },
  { phase: 'rewrite', code: (n: number) => `await null; ctx.state.at = store.incr('n${n % 50}', 1, 0, 5)` },
  { phase: 'access', code: (n: number) => `throw new Error('fault ${n}')` },
  { phase: 'content', code: (n: number) => `if (ctx.path === '/${n}') say('${n}')` },
  { phase: 'log', code: (n: number) => `setTimeout(() => ${n}, 60_000)` },
  { phase: 'log', code: (n: number) => `log('${n}', [1, 2, 3].map((each) => each + ${n}))` },
  { phase: 'body_filter', code: (n: number) => `return last ? chunk + ' ${n}' : chunk` },
  { phase: 'access', code: (n: number) => `this does not compile ${n}` },
  { phase: 'access', code: (n: number) => `Promise.reject(new Error('nobody waits ${n}'))` },
] as const

/** A host that a domain of some document may match. */
export function pickHost(random: Random): string {
  const n = random.between(0, DOMAINS - 1)
  return random.pick([`h${n}.soak.test`, `a.w${n}.soak.test`, `e${n}-7.soak.test`])
}

/** A host that no domain matches, and that was never asked for before. */
export const madeUpHost = (random: Random) => `${random.next().toString(36).slice(2)}.made-up.test`

/** Makes documents, each a little different from the last. */
export function createDocuments(random: Random) {
  const plugins = Array.from({ length: DOMAINS }, (_, n) => makePlugin(n))
  let version = 0

  function makePlugin(n: number) {
    const { phase, code } = random.pick(CODES)
    return { name: `plugin ${n}`, phase, code: code(random.between(0, 1_000_000)) }
  }

  return {
    next(): object {
      version += 1
      for (let change = 0; change < CHANGES; change += 1) {
        const n = random.between(0, DOMAINS - 1)
        plugins[n] = makePlugin(n)
      }
      // A few domains come and go, expressions among them.
      const left_out = random.between(0, DOMAINS - 1)
      const domains = plugins.flatMap((plugin, n) =>
        Math.abs(n - left_out) < 5 ? [] : [{ name: NAMES[n % NAMES.length]?.(n), plugins: [plugin] }],
      )
      const skip_domains = [`h${random.between(0, DOMAINS - 1)}.soak.test`, `^skip${random.between(0, 9)}`]
      return { version_of_soak: version, general: { skip_domains, allow_removal: true }, domains }
    },
    /** Always the same, so that what is measured under it can be compared. */
    rest(): object {
      return { general: { allow_removal: true }, domains: [{ name: 'rest.soak.test', plugins: [] }] }
    },
  }
}
