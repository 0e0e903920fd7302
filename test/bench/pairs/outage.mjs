// What an outage of the plugin API costs requests: nothing, it should be.
import { once } from 'node:events'
import { createServer } from 'node:http'
import { dynacode } from 'dynacode'
import { HOST } from '../instance.mjs'
import { ONE } from './plugins.mjs'

const document = JSON.stringify({ domains: [{ name: HOST, plugins: ONE }] })
const answer = (_request, response) => response.end(document)

/** An instance that polls ten times a second an API that answers as `later` does once the first document is live. */
const polling = (later) => async (scope) => {
  let listener = answer
  const api = createServer((request, response) => listener(request, response)).listen(0, '127.0.0.1')
  await once(api, 'listening')
  const instance = dynacode({
    plugin_api_uri: `http://127.0.0.1:${api.address().port}/`,
    plugin_api_polling_interval: 0.1,
    plugin_api_backoff_max: 0.1,
    plugin_api_timeout: 0.5,
  })
  scope.defer(() => instance.close())
  scope.defer(() => {
    api.close()
    api.closeAllConnections()
  })
  await instance.ready()
  listener = later
  return instance
}

const healthy = polling(answer)
const outages = {
  down: (request) => request.socket.destroy(),
  hanging: () => undefined,
  garbage: (_request, response) => response.end('<html>not what you asked for'),
}

/** @type {import('./index.mjs').Pair[]} */
export const outagePairs = Object.entries(outages).map(([name, later]) => ({
  name: `API ${name}`,
  about: `requests while the plugin API is ${name === 'garbage' ? 'answering garbage' : name}, against while it is healthy`,
  levels: ['http'],
  a: polling(later),
  b: healthy,
  reach: { http: { ratio: 0.98 } },
}))
