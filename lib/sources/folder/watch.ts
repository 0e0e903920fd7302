import { type FSWatcher, watch } from 'node:fs'
import { stat } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import createDebug from 'debug'
import { steadyNow } from '../../time/steady-clock.ts'
import { type Look, markFolder } from './look.ts'
import { linksOf } from './symbolic-links.ts'

const debug = createDebug('dynacode:folder-watch')

/** Some file systems tell of nothing, some of a part: so often it is looked at without an event. In milliseconds. */
const LOOK_AGAIN_MS = 1000
/** Of a large folder less often, such that looking takes at most one part in so many of the time. */
const SHARE_OF_TIME = 50
/** Between looks that events ask for. In milliseconds. */
const PAUSE_MS = 20

/** A watch over a folder. */
export interface FolderWatch {
  /** To be called after every fetch. */
  fetched(): void
  stop(): void
}

/**
 * Watches a folder, the folders of its files, and whatever decides where its path leads. Events only make it look sooner:
 * it is by looking that it knows of a change.
 *
 * @param settle looks at the folder until it stands still
 * @param last_fetched tag of what was fetched last, if anything was
 * @param changed called when the folder is found to be something else than before, or than was last fetched
 */
export function watchFolder(
  path: string,
  settle: (signal: AbortSignal) => Promise<Look>,
  last_fetched: () => string | undefined,
  changed: () => void,
): FolderWatch {
  const stopping = new AbortController()
  const watchers = new Map<string, FSWatcher>()
  let look: Look | undefined
  let timer: NodeJS.Timeout | undefined
  let running = false
  /** How long the last look for signs of a change took. */
  let took_ms = 0
  /** What was asked for while running: to look in any case, or only if there are signs of a change. */
  let asked: 'look' | 'check' | undefined

  function ask(what: 'look' | 'check'): void {
    if (asked !== 'look') asked = what
    if (!running) void run()
  }

  async function run(): Promise<void> {
    running = true
    clearTimeout(timer)
    while (asked !== undefined && !stopping.signal.aborted) {
      const in_any_case = asked === 'look'
      asked = undefined
      try {
        // Before it is looked at what is there: no change shall fall in between.
        await rewatch()
        if (in_any_case || (await isChanged())) await lookAgain()
        // Events may come faster than they can be looked after.
        await sleep(PAUSE_MS + took_ms, undefined, { signal: stopping.signal, ref: false })
      } catch (error) {
        debug('%s: %s', path, error)
      }
    }
    running = false
    if (!stopping.signal.aborted)
      timer = setTimeout(ask, Math.max(LOOK_AGAIN_MS, took_ms * SHARE_OF_TIME), 'check').unref()
  }

  async function isChanged(): Promise<boolean> {
    const started = steadyNow()
    const mark = await markFolder(path, look?.files ?? [])
    took_ms = steadyNow() - started
    return mark !== look?.mark
  }

  async function lookAgain(): Promise<void> {
    const before = look?.tag
    look = await settle(stopping.signal)
    if (await rewatch()) ask('check')
    const is_new = before !== undefined && look.tag !== before
    const is_unfetched = look.tag !== (last_fetched() ?? look.tag)
    if ((is_new || is_unfetched) && !stopping.signal.aborted) changed()
  }

  /** Watches what is to be watched now, and nothing else. Resolves to whether there is more of it than before. */
  async function rewatch(): Promise<boolean> {
    const links = [...(await linksOf(path)), path]
    const names = new Set(links.map((link) => basename(link)))
    const wanted = new Map<string, { folder: string; names: ReadonlySet<string> | undefined }>()
    const want = async (folder: string, names: ReadonlySet<string> | undefined) => {
      // A folder that takes another's place has its path, but is to be watched anew.
      const found = await stat(folder).catch(() => undefined)
      if (found !== undefined) wanted.set(`${found.dev} ${found.ino} ${folder}`, { folder, names })
    }
    for (const link of links) await want(dirname(link), names)
    for (const folder of look?.folders ?? []) await want(folder, undefined)
    if (stopping.signal.aborted) return false
    for (const id of watchers.keys()) if (!wanted.has(id)) unwatch(id)
    const added = [...wanted].filter(([id]) => !watchers.has(id))
    return added.filter(([id, { folder, names }]) => watchOne(id, folder, names)).length > 0
  }

  /** @param names those that matter, where the others are none of ours */
  function watchOne(id: string, folder: string, names: ReadonlySet<string> | undefined): boolean {
    try {
      const watcher = watch(folder, { persistent: false }, (_event, name) => {
        if (name !== null && names?.has(name) === false) return
        const is_file = name === null || look?.files.some((file) => basename(file) === name)
        ask(is_file ? 'look' : 'check')
      })
      watcher.on('error', (error) => {
        debug('%s: %s', folder, error)
        unwatch(id)
      })
      watchers.set(id, watcher)
      return true
    } catch (error) {
      // No more watches to be had, or a file system without them: there is still the looking.
      debug('%s: %s', folder, error)
      return false
    }
  }

  function unwatch(id: string): void {
    watchers.get(id)?.close()
    watchers.delete(id)
  }

  ask('look')
  return Object.freeze({
    fetched() {
      // One of the two knows more; which, is seen by looking.
      if (look !== undefined && look.tag !== last_fetched()) ask('look')
    },
    stop() {
      stopping.abort()
      clearTimeout(timer)
      for (const id of [...watchers.keys()]) unwatch(id)
    },
  } satisfies FolderWatch)
}
