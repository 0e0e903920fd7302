// Instances that wait for the next document, each over a connection of its own, as plugin_api_wait has them wait.
// Environment: ADDRESS, POLLERS. Says { waiting } when all of them wait, and { served_at } for each that has a new document.
import { Agent, get } from 'node:http'

const { ADDRESS = '', POLLERS = '1000' } = process.env
const agent = new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY })
let waiting = 0
let served: number[] = []

function poll(etag: string): void {
  get(ADDRESS, { agent, headers: { 'if-none-match': etag, prefer: 'wait=60' } }, (answer) => {
    if (answer.statusCode === 200 && etag !== '') served.push(performance.timeOrigin + performance.now())
    answer.resume().once('end', () => poll(answer.headers.etag as string))
    if (served.length === Number(POLLERS)) {
      process.send?.({ served })
      served = []
    }
  }).on('error', (error) => {
    console.error(error.message)
    process.exit(1)
  })
  if (etag === '') return
  waiting += 1
  if (waiting % Number(POLLERS) === 0) process.send?.({ waiting: true })
}

for (let at = 0; at < Number(POLLERS); at += 1) poll('')
process.on('disconnect', () => process.exit())
