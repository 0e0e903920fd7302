// The other side of reviewer.ts: a thread that does one task after the other, so that the studio can go on answering.
import { parentPort } from 'node:worker_threads'
import { register } from 'tsx/esm/api'

register()
const { createTasks } = await import('./tasks.ts')

let tasks
parentPort.on('message', async ({ globals, task, given }) => {
  if (globals !== undefined) {
    tasks = createTasks(globals)
    return
  }
  try {
    parentPort.postMessage({ done: await tasks[task](...given) })
  } catch (error) {
    const { name, message, status, details } = error
    parentPort.postMessage({ failed: { name, message, status, details } })
  }
})
