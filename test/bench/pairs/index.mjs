import { scalePairs } from '../scale/pairs.mjs'
import { guardPairs } from './guard.mjs'
import { metricsPairs } from './metrics.mjs'
import { outagePairs } from './outage.mjs'
import { pluginPairs } from './plugins.mjs'
import { precisionPairs } from './precision.mjs'
import { rolloutPairs } from './rollouts.mjs'

/**
 * Two ways to the same answer, to be measured against each other. A later benchmark is one more of these.
 *
 * @typedef {object} Pair
 * @property {string} name row of the table, and what `--only` looks for
 * @property {string} about one line: A, against B
 * @property {Side} a what is judged
 * @property {Side} b what it is judged by; all must answer `request` alike
 * @property {Side} [c] what it is judged by as well
 * @property {{ method?: string, path?: string, headers?: Record<string, string> }} [request] GET /hello unless given
 * @property {('in_process' | 'http')[]} [levels] where it is measured; both unless given
 * @property {Reach} [reach]
 *
 * @typedef {object} Reach
 * @property {{ over_ns?: number, ratio?: number }} [in_process] the most that A's time may be over B's, and the highest A ÷ B
 * @property {{ ratio: number }} [http] the lowest A ÷ B of the requests per second of processor time
 *
 * @typedef {(scope: Scope) => Middleware | Middleware[] | Promise<Middleware | Middleware[]>} Side what stands in front of the app
 * @typedef {{ defer(close: () => unknown): void }} Scope calls back when the measuring is over
 * @typedef {import('koa').Middleware} Middleware
 */

/** @type {Pair[]} */
export const pairs = [...pluginPairs, ...guardPairs, ...precisionPairs, ...outagePairs, ...rolloutPairs]

/** With those that have a command of their own. */
export const everyPair = [...pairs, ...metricsPairs, ...scalePairs]
