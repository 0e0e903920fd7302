import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DynacodeError } from '../../errors.ts'

/** What is known of code that stopped a whole process; one file of JSON each, named by the code's SHA-1. */
export interface QuarantineEntry {
  readonly sha1: string
  readonly plugin: string
  /** `stuck`: it kept the event loop past the watchdog's limit; `died`: the process ended inside of it. */
  readonly reason: 'stuck' | 'died'
  /** When, in milliseconds since 1970. */
  readonly at: number
}

/** Code that may not run again until it changes, or until somebody deletes its file. */
export interface Quarantine {
  /** The fault to refuse this code with; undefined when it may run. */
  check(sha1: string): DynacodeError | undefined
  /** Takes note of code that was put into quarantine while this process runs. */
  add(entry: QuarantineEntry): void
}

const ENTRY = /^([0-9a-f]{40})\.json$/
const RUNNING = /^running-(\d+)\.json$/

/**
 * Opens a quarantine folder, and makes it if need be. What a process was running for long when it died goes into
 * quarantine now.
 *
 * @param failed told of files that cannot be read or written; they stop nothing
 */
export function openQuarantine(folder: string, failed: (error: unknown) => void): Quarantine {
  const entries = new Map<string, QuarantineEntry>()
  const attempt = (action: () => void) => {
    try {
      action()
    } catch (error) {
      failed(error)
    }
  }

  const convict = (file: string) => {
    const { sha1, plugin, at } = JSON.parse(readFileSync(file, 'utf8')) as QuarantineEntry
    const entry: QuarantineEntry = { sha1, plugin, reason: 'died', at }
    writeFileSync(join(folder, `${sha1}.json`), `${JSON.stringify(entry)}\n`, { mode: 0o600 })
    rmSync(file)
  }

  attempt(() => {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    for (const name of readdirSync(folder)) {
      const pid = RUNNING.exec(name)?.[1]
      if (pid !== undefined && !isOtherProcess(Number(pid))) attempt(() => convict(join(folder, name)))
    }
    for (const name of readdirSync(folder)) {
      const sha1 = ENTRY.exec(name)?.[1]
      if (sha1 === undefined) continue
      attempt(() => entries.set(sha1, JSON.parse(readFileSync(join(folder, name), 'utf8')) as QuarantineEntry))
    }
  })

  return Object.freeze({
    check(sha1) {
      const entry = entries.get(sha1)
      if (entry === undefined) return undefined
      const what = entry.reason === 'stuck' ? 'kept the event loop past the limit' : 'was running when the process died'
      const message = `plugin ${JSON.stringify(entry.plugin)} is in quarantine: it ${what}; change its code, or delete ${join(folder, `${sha1}.json`)}`
      return new DynacodeError('ERR_DYNACODE_QUARANTINED', message)
    },
    add: (entry) => {
      entries.set(entry.sha1, entry)
    },
  } satisfies Quarantine)
}

/** Whether a process of this number lives that is not this one; after a restart in a container it may have ours. */
function isOtherProcess(pid: number): boolean {
  if (pid === process.pid) return false
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
