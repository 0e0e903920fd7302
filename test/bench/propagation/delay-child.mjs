// A network between: hands every byte on to a port of this machine, and back, half of a round trip later.
// Arguments: the port, and the round trip in milliseconds. Sends the port to connect to in its place.
import { once } from 'node:events'
import { connect, createServer } from 'node:net'

const [port, round_trip_ms] = process.argv.slice(2).map(Number)

function handOn(from, to) {
  const later = (act) => setTimeout(act, round_trip_ms / 2)
  from.setNoDelay(true)
  from.on('data', (chunk) => later(() => to.writable && to.write(chunk)))
  from.on('end', () => later(() => to.end()))
  from.on('error', () => undefined)
  from.on('close', () => later(() => to.destroy()))
}

const server = createServer({ allowHalfOpen: true }, (client) => {
  const target = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  handOn(client, target)
  handOn(target, client)
}).listen(0, '127.0.0.1')
await once(server, 'listening')
process.once('disconnect', () => process.exit())
process.send(server.address().port)
