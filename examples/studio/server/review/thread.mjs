// The other side of reviewer.ts: a thread that does one task after the other, so that the studio can go on answering.
import { parentPort, workerData } from 'node:worker_threads'
import { register } from 'tsx/esm/api'

register()
const { createTasks } = await import('./tasks.ts')

const tasks = createTasks(workerData.globals)
parentPort.on('message', async ({ task, given }) => {
  try {
    parentPort.postMessage({ done: await tasks[task](...given) })
  } catch (error) {
    const { name, message, status, details } = error
    parentPort.postMessage({ failed: { name, message, status, details } })
  }
})
