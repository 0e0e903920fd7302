// Serves both sides of a pair, each on a port of its own. Arguments: the pair's name, and the sides in the order in which
// they are set up. Sends the ports; then answers every message with the microseconds of processor time used so far.
import { once } from 'node:events'
import { findPair, mount } from './mount.mjs'

const [name, ...order] = process.argv.slice(2)
const pair = findPair(name)
const ports = {}
const closings = []
for (const side of order) {
  const { app, close } = await mount(pair[side])
  const server = app.listen(0, '127.0.0.1')
  await once(server, 'listening')
  ports[side] = server.address().port
  closings.push(() => {
    server.close()
    server.closeAllConnections()
    return close()
  })
}

process.on('message', () => {
  const { user, system } = process.cpuUsage()
  process.send(user + system)
})
process.once('disconnect', () => Promise.all(closings.map((close) => close())))
process.send(ports)
