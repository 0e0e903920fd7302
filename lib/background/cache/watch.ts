import { type FSWatcher, type Stats, statSync, watch } from 'node:fs'
import { basename, dirname } from 'node:path'
import createDebug from 'debug'
import { createFailureWait } from '../../time/failure-wait.ts'

const debug = createDebug('dynacode:cache')

/** The first wait before a folder that cannot be watched is tried again is up to twice that, in milliseconds. */
const FIRST_RETRY_MS = 250
const LONGEST_RETRY_MS = 2000

/**
 * Watches the cache's newest generation, so that what one process of a machine writes the others see within milliseconds.
 * Where it cannot be watched nothing is lost: the polls look there, too. Does not keep the process alive.
 *
 * @param changed called whenever somebody may have written it, the process itself included
 * @returns ends the watch
 */
export function watchCache(path: string, changed: () => void): () => void {
  const [folder, name] = [dirname(path), basename(path)]
  let watcher: FSWatcher | undefined
  let timer: NodeJS.Timeout | undefined
  const waits = createFailureWait(FIRST_RETRY_MS, LONGEST_RETRY_MS)
  let stopped = false

  function begin(): void {
    try {
      const watched = statSync(folder)
      const opened = watch(folder, { persistent: false })
      watcher = opened
      waits.succeeded()
      opened.on('change', (_, file) => {
        // Where the folder itself is gone, the watch is over without a word. Something in it may have its name.
        if (String(file) === basename(folder) && !isStill(folder, watched)) {
          fail(opened, new Error(`${folder} was moved or removed`))
        } else if (file === null || String(file) === name) changed()
      })
      opened.on('error', (error) => fail(opened, error))
    } catch (error) {
      fail(undefined, error as Error)
    }
  }

  function fail(failed: FSWatcher | undefined, error: Error): void {
    if (stopped || failed !== watcher) return
    debug('%s cannot be watched: %s', folder, error.message)
    watcher = undefined
    failed?.close()
    timer = setTimeout(() => {
      begin()
      // Whatever came meanwhile was not seen.
      changed()
    }, waits.failed(undefined)).unref()
  }

  begin()
  return () => {
    stopped = true
    clearTimeout(timer)
    watcher?.close()
  }
}

/** Whether what has this name now is the folder that was found there. */
function isStill(folder: string, { dev, ino, birthtimeMs }: Stats): boolean {
  const found = statSync(folder, { throwIfNoEntry: false })
  return found !== undefined && found.dev === dev && found.ino === ino && found.birthtimeMs === birthtimeMs
}
