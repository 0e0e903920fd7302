// What `collect()` costs requests: the same plugins in two instances, one of which a register of prom-client is told about.
import { collect } from 'dynacode/metrics'
import { Registry } from 'prom-client'
import { createInstance, HOST } from '../instance.mjs'
import { FIVE, REQUEST_FOR_FIVE } from './plugins.mjs'

const DOCUMENT = { domains: [{ name: HOST, plugins: FIVE }] }
const options = () => ({ globals: { counter: { finished: 0 } } })

const collected = async (scope) => {
  const instance = await createInstance(scope, DOCUMENT, options())
  scope.defer(collect(instance, { register: new Registry() }))
  return instance
}

const stopped = async (scope) => {
  const instance = await createInstance(scope, DOCUMENT, options())
  collect(instance, { register: new Registry() })()
  return instance
}

const plain = (scope) => createInstance(scope, DOCUMENT, options())

/** @type {import('./index.mjs').Pair[]} */
export const metricsPairs = [
  {
    name: 'metrics noise',
    about: 'five plugins, against the same',
    request: REQUEST_FOR_FIVE,
    a: plain,
    b: plain,
  },
  {
    name: 'metrics, five plugins',
    about: 'five plugins with `collect()`, against the same without',
    request: REQUEST_FOR_FIVE,
    a: collected,
    b: plain,
    reach: { http: { ratio: 0.97 } },
  },
  {
    name: 'metrics stopped, five plugins',
    about: 'five plugins with `collect()` that was stopped, so that nobody listens, against the same without',
    request: REQUEST_FOR_FIVE,
    a: stopped,
    b: plain,
  },
]
