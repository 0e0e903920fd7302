import { once } from 'node:events'
import { Worker } from 'node:worker_threads'

/**
 * Asks a server without a pause, eight times at once. From a thread of its own, so that the clock that stops the requests is
 * not the one under test.
 */
export function startLoad(port) {
  const worker = new Worker(`(${ask.toString()})()`, { eval: true, workerData: { host: '127.0.0.1', port } })
  return {
    /** The milliseconds that requests took since this was asked last. */
    async take() {
      worker.postMessage('take')
      const [times] = await once(worker, 'message')
      return times
    },
    stop: () => worker.terminate(),
  }
}

function ask() {
  const { parentPort, workerData } = require('node:worker_threads')
  const http = require('node:http')
  const agent = new http.Agent({ keepAlive: true, maxSockets: 8 })
  let times = []
  const askOne = () => {
    const started = performance.now()
    const options = { ...workerData, agent, headers: { host: 'host1.example.com' } }
    const sent = http.get(options, (response) => {
      response.resume().on('end', () => {
        times.push(performance.now() - started)
        setTimeout(askOne, 2)
      })
    })
    sent.on('error', () => undefined)
  }
  for (let at = 0; at < 8; at += 1) askOne()
  parentPort.on('message', () => {
    parentPort.postMessage(times)
    times = []
  })
}
