// What it costs to watch a rollout: the same plugin, in the same share of the traffic, with `stop_when` and without.
import { createInstance, HOST } from '../instance.mjs'

const rolledOut =
  (stop_when, percent = 99.999) =>
  (scope) =>
    createInstance(scope, {
      domains: [
        {
          name: HOST,
          plugins: [
            {
              name: 'new',
              phase: 'access',
              code: 'ctx.state.seen = 1',
              rollout: { percent, by: 'header:x-user', ...(stop_when === undefined ? {} : { stop_when }) },
            },
          ],
        },
      ],
    })

const REQUEST = { headers: { 'x-user': 'u1' } }
const OWN = { error_rate: 0.05, exit_rate: 0.5 }
const plain = rolledOut(undefined)

/** @type {import('./index.mjs').Pair[]} */
export const rolloutPairs = [
  {
    name: 'guarded rollout, its runs',
    about: 'a plugin whose rollout is watched for errors and exits, against the same without `stop_when`',
    request: REQUEST,
    levels: ['in_process'],
    a: rolledOut(OWN),
    b: plain,
    reach: { in_process: { over_ns: 60 } },
  },
  {
    name: 'guarded rollout, its time',
    about: 'a plugin whose rollout is watched for `p99_ms` too, against the same without `stop_when`',
    request: REQUEST,
    levels: ['in_process'],
    a: rolledOut({ ...OWN, p99_ms: 20 }),
    b: plain,
  },
  {
    name: 'guarded rollout, its responses',
    about: 'a plugin whose rollout is watched for 5xx responses too, against the same without `stop_when`',
    request: REQUEST,
    levels: ['in_process'],
    a: rolledOut({ ...OWN, status_5xx_rate: { above_control: 0.02 } }),
    b: plain,
  },
  {
    name: 'guarded rollout, left out',
    about: 'a request that a watched rollout leaves out, against one of the same without `stop_when`',
    request: REQUEST,
    levels: ['in_process'],
    a: rolledOut(OWN, 0.001),
    b: rolledOut(undefined, 0.001),
    reach: { in_process: { over_ns: 60 } },
  },
]
