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
  live: ['takeApart', 'giveShare', 'stopVariant', 'findPlaced', 'sign', 'askLive', 'spread', 'findChangedPlugins'],
  review: ['review', 'reviewSet', 'readDifferences', 'readFindings', 'readFolder'],
  lists: ['askSet', 'compose'],
  aside: ['compare', 'makeArchive', 'importEdits', 'previewImport'],
} as const satisfies Record<string, readonly (keyof Tasks)[]>

/** Where threads come from. Each is told what to begin with before it is asked for anything. */
export interface Threads {
  begin(): Worker
  /** @param is_idle whether it has nothing to do */
  end(worker: Worker, is_idle: boolean): Promise<unknown>
}

/** A new one each time. */
export const NEW_THREADS: Threads = Object.freeze({
  begin: () => new Worker(new URL('thread.mjs', import.meta.url), { execArgv: [] }),
  end: (worker: Worker) => worker.terminate(),
})

/**
 * Makes what does the tasks, in threads of their own.
 *
 * @param globals names of the apps' own that plugins may use
 * @param threads_of where the threads come from; left out, each is a new one
 */
export function createReviewer(globals: readonly string[], threads_of = NEW_THREADS): Reviewer {
  const threads = Object.values(NAMES).map((names) => ({ names, thread: createThread(globals, threads_of) }))
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
function createThread(globals: readonly string[], threads_of: Threads) {
  const queue = createQueue<Work>()
  let running: Work | undefined
  let worker: Worker | undefined
  let closed = false

  function begin(): Worker {
    const begun = threads_of.begin()
    begun.unref()
    begun.postMessage({ globals })
    begun.on('message', ({ done, failed }) => {
      const asked = running
      running = undefined
      if (failed === undefined) asked?.resolve(done)
      else asked?.reject(toError(failed))
      goOn()
    })
    const end = (why: string) => {
      if (worker === begun) refuseAll(why)
    }
    begun.on('error', (error) => end((error as Error).message))
    begun.on('exit', () => end('its thread is gone'))
    return begun
  }

  function refuseAll(why: string): void {
    worker = undefined
    const problem = new Problem(503, `the check has ended: ${why}`)
    running?.reject(problem)
    running = undefined
    for (const { refuse } of queue.take()) refuse(problem)
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
      if (worker === undefined) return
      const [ended, is_idle] = [worker, running === undefined]
      refuseAll('the studio is closing')
      for (const event of ['message', 'error', 'exit']) ended.removeAllListeners(event)
      await threads_of.end(ended, is_idle)
    },
  }
}
