import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import * as z from 'zod'
import { DynacodeError } from '../../errors.ts'
import { findFileFault, findFolderFault, makeOwnFolder } from '../../validation/own-files.ts'
import { describeMismatch } from '../../validation/schema-error.ts'

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
  /** Whether its folder may be written to. Where others could replace the files in it, it lasts as long as the process. */
  readonly isSafe: boolean
  /** The fault to refuse this code with; undefined when it may run. */
  check(sha1: string): DynacodeError | undefined
  /** Takes note of code that was put into quarantine while this process runs. */
  add(entry: QuarantineEntry): void
}

const ENTRY = /^([0-9a-f]{40})\.json$/
const RUNNING = /^running-(\d+)\.json$/
/** No entry is longer, in bytes: a plugin's name is the longest part of it. */
const MAX_BYTES = 65_536

// Whoever can write to the folder may have written it: what is taken from it is checked.
const suspectSchema = z.object({
  sha1: z.string().regex(/^[0-9a-f]{40}$/, 'a SHA-1 in hex'),
  plugin: z.string(),
  at: z.number(),
})
const entrySchema = suspectSchema.extend({ reason: z.enum(['stuck', 'died']) })

/**
 * Opens a quarantine folder, and makes it if need be. What a process was running for long when it died goes into
 * quarantine now.
 *
 * @param failed called with files that cannot be read or written, or are not safe to use; they stop nothing
 */
export function openQuarantine(folder: string, failed: (error: unknown) => void): Quarantine {
  const entries = new Map<string, QuarantineEntry>()
  const attempt = (action: () => void): boolean => {
    try {
      action()
      return true
    } catch (error) {
      failed(error)
      return false
    }
  }

  const convict = (file: string) => {
    const { sha1, plugin, at } = read(file, suspectSchema)
    const entry: QuarantineEntry = { sha1, plugin, reason: 'died', at }
    write(join(folder, `${sha1}.json`), entry)
    rmSync(file)
  }
  const take = (file: string, sha1: string) => {
    const entry = read(file, entrySchema)
    if (entry.sha1 !== sha1) throw new Error(`the quarantine's file ${file} is about other code; it is not used`)
    entries.set(sha1, entry)
  }

  const isSafe = attempt(() => {
    makeOwnFolder({ mkdirSync, lstatSync }, folder)
    const fault = findFolderFault(statSync(folder))
    if (fault !== undefined) throw new Error(`the quarantine's folder ${folder} ${fault}`)
    for (const name of readdirSync(folder)) {
      const pid = RUNNING.exec(name)?.[1]
      if (pid !== undefined && !isOtherProcess(Number(pid))) attempt(() => convict(join(folder, name)))
    }
    for (const name of readdirSync(folder)) {
      const sha1 = ENTRY.exec(name)?.[1]
      if (sha1 !== undefined) attempt(() => take(join(folder, name), sha1))
    }
  })

  return Object.freeze({
    isSafe,
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

/** @throws Error when the file is not ours alone to write, or its content is not what belongs there */
function read<T>(file: string, schema: z.ZodType<T>): T {
  checkFile(file, lstatSync(file))
  // Windows has neither of the two.
  const fd = openSync(file, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0))
  try {
    checkFile(file, fstatSync(fd))
    const bytes = Buffer.alloc(MAX_BYTES + 1)
    const length = readSync(fd, bytes, 0, bytes.length, 0)
    const value: unknown = length > MAX_BYTES ? 'too long' : JSON.parse(bytes.toString('utf8', 0, length))
    const result = schema.safeParse(value)
    if (result.success) return result.data
    const { path, message } = describeMismatch(result.error, value)
    throw new Error(`the quarantine's file ${file}: ${path === '' ? '' : `${path}: `}${message}; it is not used`)
  } finally {
    closeSync(fd)
  }
}

function checkFile(file: string, found: Parameters<typeof findFileFault>[0]): void {
  const fault = findFileFault(found)
  if (fault !== undefined) throw new Error(`the quarantine's file ${file} ${fault}; it is not used`)
}

/** By a file of its own, which takes the place of whatever has the name: what that links to is not written to. */
function write(file: string, entry: QuarantineEntry): void {
  const temporary = `${file}.${process.pid}.tmp`
  rmSync(temporary, { force: true })
  writeFileSync(temporary, `${JSON.stringify(entry)}\n`, { mode: 0o600, flag: 'wx' })
  renameSync(temporary, file)
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
