/** How many plugins there are, over as many domains. */
export const SIZES = [1, 10, 100, 1000, 10_000, 100_000]

/** Code is of this many kinds, so that to start with 100 000 plugins does not take minutes. */
const CODES = 1000

/** What domains are named: the one that is asked for, the host that it is asked by, and all the others. */
export const KINDS = {
  literal: { own: 'app.bench.test', host: 'app.bench.test', other: (n) => `d${n}.example.com` },
  wildcard: { own: '*.bench.test', host: 'app.bench.test', other: (n) => `*.d${n}.example.com` },
  expression: {
    own: '^app\\d*\\.bench\\.test$',
    host: 'app.bench.test',
    other: (n) => `^(?:www|shop)\\d*\\.d${n}\\.example\\.com$`,
  },
  // What must be in a host is the same for all of them.
  'expression, none of its own text': {
    own: '^app\\d*\\.bench\\.test$',
    host: 'app.bench.test',
    other: (n) => `^[a-z]{${(n % 60) + 1}}\\d{0,${n}}\\.example\\.com$`,
  },
}

/** Those that documents should have. */
export const USUAL_KINDS = ['literal', 'wildcard', 'expression']

/** The cap on plugins and domains is there for documents that are not meant. */
export const OPTIONS = { max_plugins: 200_000, max_domains: 200_000 }

const cors = { name: 'cors', phase: 'header_filter', code: "ctx.set('Access-Control-Allow-Origin', '*')" }

/** A plugin for the host that is asked for, and others for other hosts, `size` together. */
export function createDocument(kind, size) {
  const { own, other } = KINDS[kind]
  const others = Array.from({ length: size - 1 }, (_, n) => ({
    name: other(n),
    plugins: [{ ...cors, code: `ctx.set('X-Domain', '${n % CODES}')` }],
  }))
  // In the middle, so that neither end is favoured.
  return { domains: others.toSpliced(others.length / 2, 0, { name: own, plugins: [cors] }) }
}

/** The same work by hand. */
export const createTwin = (host) =>
  async function twin(ctx, next) {
    await next()
    if (ctx.req.headers.host === host) ctx.set('Access-Control-Allow-Origin', '*')
  }
