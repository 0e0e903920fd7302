import { randomUUID } from 'node:crypto'
import { type CachePlace, unlinkIf } from './file.ts'
import { isGone, type ProcessIdentity } from './process-identity.ts'
import { openSafely, setTime } from './safety.ts'

/**
 * A file that says which process of this machine does something for all of them, for as long as the file is young. It saves
 * work, and no more: that two hold it for a moment does no harm, and nothing that is right depends on it.
 */
export interface Lease {
  /**
   * Takes it where it is free, or is this one's already: then it counts anew before it is too old. Where its holder has died or
   * had it for too long, this one has it at the next call, if nobody else has been faster.
   *
   * @throws when the disk does not allow it
   */
  take(stale_ms: number): boolean
  /** Gives it back, where this one has it. */
  release(): void
}

interface Found {
  readonly text: string
  readonly age_ms: number
}

/**
 * A file that names nobody is one whose holder is about to write it, or ended before that, or lost it with the machine's power.
 * Older than this, in milliseconds, it is none of the first kind.
 */
const WRITING_MS = 1000

/** The lease whose file has this place's path, and `.lock` behind it. */
export function openLease(place: CachePlace): Lease {
  const { fs, here } = place
  const path = `${place.path}.lock`
  const own = JSON.stringify({ ...here, token: randomUUID() })

  function find(): Found | undefined {
    const opened = openSafely(fs, path)
    if (opened === undefined) return undefined
    try {
      const start = Buffer.alloc(1024)
      const text = start.toString('utf8', 0, fs.readSync(opened.fd, start, 0, start.length, 0))
      // Whatever is of the future stays so for too long.
      return { text, age_ms: Math.abs(Date.now() - opened.found.mtimeMs) }
    } finally {
      fs.closeSync(opened.fd)
    }
  }

  /** False: there is one. */
  function create(file: string): boolean {
    let fd: number
    try {
      fd = fs.openSync(file, 'wx', 0o600)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
      throw error
    }
    try {
      fs.writeSync(fd, Buffer.from(own))
      setTime(fs, fd, file, Date.now())
      return true
    } catch (error) {
      unlinkIf(fs, file)
      throw error
    } finally {
      fs.closeSync(fd)
    }
  }

  /** Puts a new one in its place. Of several that do so at once it is the last one's. */
  function replace(): void {
    const temporary = place.temporary()
    create(temporary)
    try {
      fs.renameSync(temporary, path)
    } catch (error) {
      unlinkIf(fs, temporary)
      throw error
    }
  }

  function isOver({ text, age_ms }: Found, stale_ms: number): boolean {
    const holder = readHolder(text)
    if (holder === undefined) return age_ms > Math.min(WRITING_MS, stale_ms)
    return age_ms > stale_ms || isGone(holder, here)
  }

  return Object.freeze({
    take(stale_ms) {
      const found = find()
      if (found === undefined) return create(path)
      const isOwn = found.text === own
      if (isOwn ? found.age_ms > stale_ms / 3 : isOver(found, stale_ms)) replace()
      return isOwn
    },
    release() {
      if (find()?.text === own) unlinkIf(fs, path)
    },
  } satisfies Lease)
}

function readHolder(text: string): ProcessIdentity | undefined {
  try {
    const { pid, started, machine } = JSON.parse(text)
    return Number.isSafeInteger(pid) && pid > 0 ? { pid, started, machine } : undefined
  } catch {
    return undefined
  }
}
