import { createHash, randomBytes } from 'node:crypto'
import { closeSync, fsyncSync, linkSync, openSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import { z } from 'zod'
import { DynacodeError } from '../errors.ts'

/** What stands in the first line of a cache file; the document's bytes follow, exactly as they were received. */
const headerSchema = z.object({
  dynacode: z.literal(1),
  version: z.union([z.string(), z.number()]),
  tag: z.string().optional(),
  bytes: z.int().nonnegative(),
  sha1: z.string(),
  sha256: z.string(),
})

/** A document with all that belongs to it: none of it is ever stored without the rest. */
export interface StoredDocument {
  readonly bytes: Uint8Array
  readonly tag: string | undefined
  readonly version: number | string
  /** SHA-1 of the bytes, in hex. */
  readonly sha1: string
}

/** The steps of a durable write, in this order; apart from the file system only where their order is tested. */
export interface Disk {
  open(path: string, flags: string, mode?: number): number
  write(file: number, bytes: Uint8Array, from: number): number
  sync(file: number): void
  close(file: number): void
  link(from: string, to: string): void
  rename(from: string, to: string): void
  remove(path: string): void
}

/** Node's file system. */
export const DISK: Disk = Object.freeze<Disk>({
  open: openSync,
  write: (file, bytes, from) => writeSync(file, bytes, from),
  sync: fsyncSync,
  close: closeSync,
  link: linkSync,
  rename: renameSync,
  remove: (path) => rmSync(path, { force: true }),
})

/** A name for a file that is about to become `path`, which no other process chooses; it tells whose it is. */
export function temporaryName(path: string): string {
  return `${path}.${process.pid}.${randomBytes(6).toString('hex')}.tmp`
}

/** Puts a document into the form of a cache file. */
export function encodeDocument({ bytes, tag, version, sha1 }: StoredDocument): Uint8Array {
  const header = { dynacode: 1, version, tag, bytes: bytes.length, sha1, sha256: sha256(bytes) }
  return Buffer.concat([Buffer.from(`${JSON.stringify(header)}\n`), bytes])
}

/**
 * Reads a cache file.
 *
 * @throws DynacodeError ERR_DYNACODE_CACHE when it is damaged, or something else
 */
export function decodeDocument(path: string, content: Buffer): StoredDocument {
  const end = content.indexOf('\n')
  const header = end === -1 ? undefined : headerSchema.safeParse(parseJson(content.subarray(0, end).toString()))
  if (header?.success !== true) throw damaged(path, 'it does not begin as a cache file does')
  const bytes = content.subarray(end + 1)
  const { bytes: length, sha256: expected, sha1, tag, version } = header.data
  if (bytes.length !== length) throw damaged(path, `expected ${length} bytes, got ${bytes.length}`)
  if (sha256(bytes) !== expected) throw damaged(path, 'its bytes are not those that were written')
  return { bytes, sha1, tag, version }
}

/** Reads a file, and says what it is called where that fails; undefined when there is none. */
export function readIfThere(path: string): Buffer | undefined {
  try {
    return readFileSync(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/**
 * Makes a file what it should be, whole or not at all, whatever happens meanwhile; it is on the disk when this returns.
 *
 * @param keep where to keep what the file was before
 */
export function writeDurably(disk: Disk, path: string, content: Uint8Array, keep?: string): void {
  const temporary = temporaryName(path)
  try {
    const file = disk.open(temporary, 'wx', 0o600)
    try {
      for (let from = 0; from < content.length; ) from += disk.write(file, content, from)
      disk.sync(file)
    } finally {
      disk.close(file)
    }
    if (keep !== undefined) keepGeneration(disk, path, keep)
    disk.rename(temporary, path)
    syncFolder(disk, path)
  } catch (error) {
    disk.remove(temporary)
    throw error
  }
}

/** A second name for the file as it is, so that there is no moment without it. */
function keepGeneration(disk: Disk, path: string, keep: string): void {
  const temporary = temporaryName(keep)
  try {
    disk.link(path, temporary)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
    throw error
  }
  disk.rename(temporary, keep)
  // Renaming one name of a file onto another of the same file does nothing, and leaves the first.
  disk.remove(temporary)
}

/** Only then do the new names outlive a power failure. Windows has no such thing. */
function syncFolder(disk: Disk, path: string): void {
  if (process.platform === 'win32') return
  const folder = disk.open(dirname(path), 'r')
  try {
    disk.sync(folder)
  } finally {
    disk.close(folder)
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

function damaged(path: string, what: string): DynacodeError {
  return new DynacodeError('ERR_DYNACODE_CACHE', `the cache file ${path} is damaged, and set aside: ${what}`)
}
