// Many other processes of the site, simulated: each asks for the document as one with dynacode does, and only looks which
// version it has. Argument: what run.mjs gives it, as JSON. Sends when all have the first version; and, asked by a message,
// when each version came to each of them, in milliseconds of the machine's steady clock.
import { Agent, get } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { createClient } from 'redis'

const { medium, uri, redis_port, interval, key, channel, crowd } = JSON.parse(process.argv[2])
const agent = new Agent({ keepAlive: true, maxSockets: Infinity })
const arrivals = []
let failed = 0

const now = () => Number(process.hrtime.bigint()) / 1e6
const versionIn = (text) => Number(/"version":(\d+)/.exec(text)?.[1])

function take(text) {
  arrivals.push([versionIn(text), now()])
}

function ask(headers) {
  return new Promise((resolve, reject) => {
    get(uri, { agent, headers }, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (part) => (text += part))
      response.on('end', () => resolve({ status: response.statusCode, etag: response.headers.etag, text }))
      response.on('error', reject)
    }).on('error', reject)
  })
}

async function startHttp(waits) {
  let etag
  const poll = async () => {
    const known = etag === undefined ? {} : { 'if-none-match': etag, ...(waits && { prefer: 'wait=60' }) }
    const answer = await ask(known)
    etag = answer.etag
    if (answer.status === 200) take(answer.text)
  }
  await poll()
  const goOn = async () => {
    for (;;) {
      if (!waits) await sleep(interval * 1000 * (0.9 + Math.random() * 0.2))
      await poll().catch(() => {
        failed += 1
        return sleep(100)
      })
    }
  }
  void goOn()
}

/** One connection each to subscribe; they share a few to read. */
const readers = []
async function startRedis(index) {
  const socket = { host: '127.0.0.1', port: redis_port }
  const open = () =>
    createClient({ socket })
      .on('error', () => (failed += 1))
      .connect()
  if (index < 8) readers.push(await open())
  const reader = readers[index % readers.length]
  const read = async () => take(await reader.get(key))
  await read()
  await (await open()).subscribe(channel, read)
}

for (let index = 0; index < crowd; index += 1) {
  if (medium === 'Redis') await startRedis(index)
  else await startHttp(medium !== 'polling')
}
process.on('message', () => process.send({ arrivals: arrivals.splice(0), failed }))
process.once('disconnect', () => process.exit())
process.send('ready')
