// A plugin API with deltas, in a process of its own. Arguments: how many plugins, and of how many bytes each. Sends its address; on
// a message, changes one plugin, and sends how many bytes of bodies it has sent since the last one.
import { once } from 'node:events'
import { createServer } from 'node:http'
import { document_api } from 'dynacode/tools'
import { createDocuments } from '../reload/measure.mjs'

const [count, size] = process.argv.slice(2).map(Number)
const [before, after] = createDocuments(count, size)
  .first.toString()
  .split(`'${Math.floor(count / 2)} 0'`)
const versionOf = (change) => Buffer.from(`${before}'${Math.floor(count / 2)} ${change}'${after}`)
const api = document_api()
api.publish(versionOf(0))
let sent = 0
const server = createServer((request, response) => {
  const { end } = response
  response.end = (body) => {
    sent += body?.length ?? 0
    return end.call(response, body)
  }
  api.listener(request, response)
}).listen(0, '127.0.0.1')
await once(server, 'listening')
let changes = 0
process.on('message', () => {
  process.send({ sent })
  sent = 0
  changes += 1
  api.publish(versionOf(changes))
})
process.once('disconnect', () => process.exit())
process.send({ uri: `http://127.0.0.1:${server.address().port}/` })
