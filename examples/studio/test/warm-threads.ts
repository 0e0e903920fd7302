import type { Worker } from 'node:worker_threads'
import { NEW_THREADS, type Threads } from '../server/review/reviewer.ts'

/** Threads that have nothing to do. */
const idle = new Set<Worker>()

/** Keeps the threads of a reviewer that is closed for the next one: to load what they need takes seconds each. */
export const WARM_THREADS: Threads = Object.freeze({
  begin() {
    const [kept] = idle
    if (kept === undefined) return NEW_THREADS.begin()
    idle.delete(kept)
    kept.removeAllListeners('exit')
    return kept
  },
  async end(worker: Worker, is_idle: boolean) {
    if (!is_idle) return NEW_THREADS.end(worker, is_idle)
    idle.add(worker)
    worker.once('exit', () => idle.delete(worker))
    return undefined
  },
})
