// What the guard costs: the same plugins with it and without.
import { createInstance, HOST } from '../instance.mjs'
import { FIVE, ONE, REQUEST_FOR_FIVE } from './plugins.mjs'

/** Code as plugins have it: a loop, a function, strings, an object. */
const TYPICAL = [
  {
    name: 'typical',
    phase: 'access',
    code: `
      const parts = ctx.path.split('/').filter((part) => part !== '')
      const counts = {}
      for (const part of parts) counts[part] = (counts[part] ?? 0) + part.length
      let sum = 0
      for (let index = 0; index < 20; index += 1) sum += (index * 7) % 13
      if (sum < 0 || counts.secret > 100) exit(403)
      ctx.state.parts = Object.keys(counts).length
    `,
  },
]

const guarded = (plugins, guard) => (scope) =>
  createInstance(scope, { domains: [{ name: HOST, plugins }] }, { guard, globals: { counter: { finished: 0 } } })

/** @type {import('./index.mjs').Pair[]} */
export const guardPairs = [
  {
    name: 'guard, one plugin',
    about: 'one plugin with the guard, against the same without',
    a: guarded(ONE, 'on'),
    b: guarded(ONE, 'off'),
    reach: { http: { ratio: 0.97 } },
  },
  {
    name: 'guard, five plugins',
    about: 'five plugins with the guard, against the same without',
    request: REQUEST_FOR_FIVE,
    a: guarded(FIVE, 'on'),
    b: guarded(FIVE, 'off'),
    reach: { http: { ratio: 0.97 } },
  },
  {
    name: 'guard, typical plugin',
    about: 'a plugin with loops and functions with the guard, against the same without',
    levels: ['in_process'],
    a: guarded(TYPICAL, 'on'),
    b: guarded(TYPICAL, 'off'),
    reach: { in_process: { ratio: 1.1 } },
  },
  {
    name: 'strict, one plugin',
    about: 'one plugin under `strict`, against the same without a guard',
    levels: ['in_process'],
    a: guarded(ONE, 'strict'),
    b: guarded(ONE, 'off'),
  },
]
