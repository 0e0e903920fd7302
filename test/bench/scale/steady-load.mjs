import { once } from 'node:events'
import { Worker } from 'node:worker_threads'

/** Asks a server so many times a second, whether it has answered or not, from a thread of its own. */
export function startSteadyLoad(port, per_second) {
  const worker = new Worker(`(${ask.toString()})()`, {
    eval: true,
    workerData: { host: '127.0.0.1', port, per_second },
  })
  return {
    /** What requests took, and the longest time in which none was answered, in milliseconds. */
    async stop() {
      worker.postMessage('stop')
      const [result] = await once(worker, 'message')
      await worker.terminate()
      return result
    },
  }
}

function ask() {
  const { parentPort, workerData } = require('node:worker_threads')
  const http = require('node:http')
  const { host, port, per_second } = workerData
  const agent = new http.Agent({ keepAlive: true })
  const started = performance.now()
  const times_ms = []
  let [sent, last, gap_ms] = [0, started, 0]
  const askOne = () => {
    const begun = performance.now()
    const request = http.get({ host, port, agent, headers: { host: 'host1.example.com' } }, (response) => {
      response.resume().on('end', () => {
        const now = performance.now()
        times_ms.push(now - begun)
        gap_ms = Math.max(gap_ms, now - last)
        last = now
      })
    })
    request.on('error', () => undefined)
  }
  const timer = setInterval(() => {
    const due = ((performance.now() - started) / 1000) * per_second
    for (; sent < due; sent += 1) askOne()
  }, 1)
  parentPort.once('message', () => {
    clearInterval(timer)
    parentPort.postMessage({ times_ms, gap_ms })
  })
}
