import { randomUUID } from 'node:crypto'
import { steadyNow } from '../../time/steady-clock.ts'
import { type CachePlace, takeAway, unlinkIf } from './file.ts'
import { isGone, type ProcessIdentity } from './process-identity.ts'
import { lookAt, openSafely } from './safety.ts'

/** The file that says which process of this machine fetches. */
export interface CacheLock {
  /**
   * Takes it, if it is free or its holder has died or has had it for too long.
   *
   * @returns names this holding; undefined while another one holds it
   * @throws when the disk does not allow it
   */
  take(stale_ms: number): string | undefined
  /**
   * Whether nobody has taken it over meanwhile. Undefined: nobody has it just now, be it that who took it over is done, or that
   * another process moves it aside for a moment to see whether it is one that is over.
   */
  isHeld(token: string): boolean | undefined
  release(token: string): void
}

interface Holder extends ProcessIdentity {
  readonly token: string
  /** When it was taken, in milliseconds since 1970. */
  readonly at: number
}

interface Found {
  /** Tells this holding from any other, also where the file says nothing. */
  readonly mark: string
  readonly isNameless: boolean
  /** Undefined where the file says nothing of use. */
  readonly holder: Holder | undefined
  readonly at: number
}

/** A holder writes its name at once. One that has not done so by then was killed before it could. */
const NAMELESS_MS = 1000
/** To take over what is over takes no time. Who is at it for longer was killed, in milliseconds. */
const TAKING_OVER_MS = 1000

export function openLock(place: CachePlace): CacheLock {
  const { fs, here } = place
  const path = `${place.path}.lock`
  /** Is there while a process takes over what is over. */
  const guard = `${path}.over`
  const holdings = createWatch()
  const guards = createWatch()

  function create(): string | undefined {
    const holder: Holder = { ...here, token: randomUUID(), at: Date.now() }
    let fd: number
    try {
      fd = fs.openSync(path, 'wx', 0o600)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') return undefined
      throw error
    }
    try {
      fs.writeSync(fd, Buffer.from(JSON.stringify(holder)))
      return holder.token
    } catch (error) {
      unlinkIf(fs, path)
      throw error
    } finally {
      fs.closeSync(fd)
    }
  }

  function find(file = path): Found | undefined {
    const opened = openSafely(fs, file)
    if (opened === undefined) return undefined
    try {
      const start = Buffer.alloc(1024)
      const text = start.toString('utf8', 0, fs.readSync(opened.fd, start, 0, start.length, 0))
      const holder = parseHolder(text)
      const { ino, mtimeMs } = opened.found
      return { mark: `${ino} ${mtimeMs} ${text}`, isNameless: text === '', holder, at: holder?.at ?? mtimeMs }
    } finally {
      fs.closeSync(opened.fd)
    }
  }

  function isOver({ mark, isNameless, holder, at }: Found, stale_ms: number): boolean {
    if (holder !== undefined && isGone(holder, here)) return true
    const longest_ms = isNameless ? Math.min(NAMELESS_MS, stale_ms) : stale_ms
    return holdings.isOld(mark, at, longest_ms)
  }

  /**
   * One process at a time: to look at a file once more that is over, it has to be moved aside, and whoever came then for
   * one that was taken over just before would find nothing in the way.
   */
  function takeOver({ mark }: Found): string | undefined {
    if (!enter()) return undefined
    try {
      const found = find()
      if (found === undefined) return create()
      return found.mark === mark && remove(found) ? create() : undefined
    } finally {
      unlinkIf(fs, guard)
    }
  }

  function enter(): boolean {
    try {
      fs.closeSync(fs.openSync(guard, 'wx', 0o600))
      return true
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
      const left = lookAt(fs, guard)
      // Next time it is free.
      if (left && guards.isOld(`${left.ino} ${left.mtimeMs}`, left.mtimeMs, TAKING_OVER_MS)) unlinkIf(fs, guard)
      return false
    }
  }

  function remove({ mark }: Found): boolean {
    return takeAway(place, path, (temporary) => find(temporary)?.mark === mark)
  }

  return Object.freeze({
    take(stale_ms) {
      const token = create()
      if (token !== undefined) return token
      const found = find()
      if (found === undefined) return create()
      return isOver(found, stale_ms) ? takeOver(found) : undefined
    },
    isHeld(token) {
      const found = find()
      return found && found.holder?.token === token
    },
    release(token) {
      const found = find()
      if (found?.holder?.token === token) remove(found)
    },
  } satisfies CacheLock)
}

/** Knows since when the same thing was seen: by this process's own clock, which no change of the time of day moves. */
function createWatch() {
  let watched = { mark: '', since: 0 }
  return {
    /** @param at since when it is there by its own account, in milliseconds since 1970 */
    isOld(mark: string, at: number, longest_ms: number): boolean {
      if (watched.mark !== mark) watched = { mark, since: steadyNow() }
      return Date.now() - at > longest_ms || steadyNow() - watched.since > longest_ms
    },
  }
}

function parseHolder(text: string): Holder | undefined {
  try {
    const { pid, started, machine, token, at } = JSON.parse(text)
    return Number.isSafeInteger(pid) && pid > 0 && typeof at === 'number'
      ? { pid, started, machine, token, at }
      : undefined
  } catch {
    return undefined
  }
}
