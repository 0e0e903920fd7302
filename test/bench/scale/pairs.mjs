// What plugins for other hosts cost a request: nothing, it should be.
import { createInstance } from '../instance.mjs'
import { peerPairs } from '../peers/pairs.mjs'
import { createDocument, createTwin, KINDS, OPTIONS, SIZES, USUAL_KINDS } from './documents.mjs'

/** The lowest share of the throughput that there is with one plugin. */
const REACH = { literal: [100_000, 0.97], wildcard: [100_000, 0.97], expression: [10_000, 0.95] }

const withPlugins = (kind, size) => (scope) => createInstance(scope, createDocument(kind, size), OPTIONS)

const sizePairs = USUAL_KINDS.flatMap((kind) =>
  SIZES.map((size) => ({
    name: `${kind}, ${size}`,
    about: `a plugin for the host and ${size - 1} for others, against that plugin alone, and against the same work by hand`,
    kind,
    size,
    request: { headers: { host: KINDS[kind].host } },
    a: withPlugins(kind, size),
    b: withPlugins(kind, 1),
    c: () => createTwin(KINDS[kind].host),
    reach: REACH[kind][0] === size ? { http: { ratio: REACH[kind][1] } } : undefined,
  })),
)

/** @type {import('../pairs/index.mjs').Pair[]} */
export const scalePairs = [...sizePairs, ...peerPairs]
