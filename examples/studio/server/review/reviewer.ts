import { Worker } from 'node:worker_threads'
import { Problem } from '../problem.ts'
import { whoAsks } from './asking.ts'
import { createQueue } from './queue.ts'
import type { Tasks } from './tasks.ts'

export type { Review, SetReview } from './tasks.ts'

/** Does the tasks beside everything else: the requests of instances are answered meanwhile. */
export type Reviewer = Tasks & { close(): Promise<void> }

/**
 * By thread: what is typed is checked at once, nothing that is switched off waits for a review, and nothing that is published
 * for what anybody brings in, takes out or compares.
 */
const NAMES = {
  typed: ['check'],
  live: ['takeApart', 'findPlaced', 'sign', 'askLive', 'spread', 'findChangedPlugins'],
  review: ['review', 'reviewSet', 'readDifferences', 'readFindings', 'readFolder'],
  lists: ['askSet', 'compose'],
  aside: ['compare', 'makeArchive', 'importEdits', 'previewImport'],
} as const satisfies Record<string, readonly (keyof Tasks)[]>
/** Makes what does the tasks, in threads of their own. @param globals names of the apps' own that plugins may use */
export function createReviewer(globals: readonly string[]): Reviewer {
  const threads = Object.values(NAMES).map((names) => ({ names, thread: createThread(globals) }))
  const tasks = threads.flatMap(({ names, thread }) =>
    names.map((name) => [name, (...given: unknown[]) => thread.run(name, given)] as const),
  )
  return Object.freeze({
    ...(Object.fromEntries(tasks) as unknown as Tasks),
    async close() {
      await Promise.all(threads.map(({ thread }) => thread.close()))
    },
  })
}

/** An error as it comes from the thread: of a class of its own it is no longer. */
function toError({ name, message, status, details }: Failed): Error {
  return name === 'Problem' && status !== undefined
    ? new Problem(status, message, details)
    : Object.assign(new Error(message), { name })
}

interface Failed {
  readonly name: string
  readonly message: string
  readonly status?: number
  readonly details?: Problem['details']
}

interface Work {
  readonly task: string
  readonly given: readonly unknown[]
  resolve(value: unknown): void
  reject(error: Error): void
}

/** A thread that is begun when it is first asked for something, and anew when it has ended. It does one thing at a time. */
function createThread(globals: readonly string[]) {
  const queue = createQueue<Work>()
  let running: Work | undefined
  let worker: Worker | undefined
  let closed = false

  function begin(): Worker {
    const begun = new Worker(new URL('thread.mjs', import.meta.url), {
      workerData: { globals },
      execArgv: [],
    })
    begun.unref()
    begun.on('message', ({ done, failed }) => {
      const asked = running
      running = undefined
      if (failed === undefined) asked?.resolve(done)
      else asked?.reject(toError(failed))
      goOn()
    })
    const end = (why: string) => {
      if (worker !== begun) return
      worker = undefined
      const problem = new Problem(503, `the check has ended: ${why}`)
      running?.reject(problem)
      running = undefined
      for (const { refuse } of queue.take()) refuse(problem)
    }
    begun.on('error', (error) => end((error as Error).message))
    begun.on('exit', () => end('its thread is gone'))
    return begun
  }

  function goOn(): void {
    if (running !== undefined || closed) return
    running = queue.next()
    if (running === undefined) return
    worker ??= begin()
    const { task, given } = running
    worker.postMessage({ task, given })
  }

  return {
    run(task: string, given: readonly unknown[]): Promise<unknown> {
      if (closed) return Promise.reject(new Problem(503, 'the studio is closing'))
      return new Promise((resolve, reject) => {
        queue.add({ task, given, resolve, reject }, whoAsks(), reject)
        goOn()
      })
    },
    async close() {
      closed = true
      await worker?.terminate()
    },
  }
}
