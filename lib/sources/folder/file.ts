import { constants, type FileHandle, open, realpath, stat } from 'node:fs/promises'
import { join, sep } from 'node:path'
import { describeValue } from '../../validation/schema-error.ts'

/** A file's bytes, or why this file, and it alone, cannot be had. */
export type FileRead = { readonly bytes: Uint8Array; readonly real: string } | { readonly fault: string }

/** Faults of one file; any other, such as too many open files, says nothing of it. */
const FAULTS: ReadonlySet<unknown> = new Set([
  'ENOENT',
  'ENOTDIR',
  'EACCES',
  'EPERM',
  'EISDIR',
  'ELOOP',
  'ENAMETOOLONG',
  'ENXIO',
])
/** Else the opening of a pipe would wait for somebody to write into it. Windows has no such flag. */
const FLAGS = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0)

/**
 * Reads a file of the folder, or of a folder inside. Symbolic links may lead anywhere but out of it.
 *
 * @param folder real path of the folder
 * @param allow called with how many bytes are to be read; throws if these are too many
 */
export async function readFolderFile(folder: string, file: string, allow: (bytes: number) => void): Promise<FileRead> {
  try {
    const real = await realpath(join(folder, file))
    if (!real.startsWith(folder.endsWith(sep) ? folder : folder + sep)) {
      return { fault: `expected a file inside the folder, got ${describeValue(file)}, which leads out of it` }
    }
    const handle = await open(real, FLAGS)
    try {
      const stats = await handle.stat()
      if (!stats.isFile()) return { fault: `expected a file, got ${describeValue(file)}, which is none` }
      allow(stats.size)
      return { bytes: await readBytes(handle, stats.size), real }
    } finally {
      await handle.close()
    }
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    if (!FAULTS.has(code)) throw cause
    if (code === 'ENOENT') return { fault: `there is no file ${describeValue(file)}` }
    return { fault: `the file ${describeValue(file)} cannot be read: ${code}` }
  }
}

/** No more than was allowed: a file may grow while it is being read. What it has then is for the next look. */
async function readBytes(handle: FileHandle, size: number): Promise<Uint8Array> {
  const bytes = Buffer.alloc(size)
  let at = 0
  while (at < size) {
    const { bytesRead } = await handle.read(bytes, at, size - at, at)
    if (bytesRead === 0) break
    at += bytesRead
  }
  return bytes.subarray(0, at)
}

/** What tells states of a file apart without reading it. */
export interface Mark {
  /** Where it is stored, its size and its times. */
  readonly text: string
  /** Whether two states can have the same mark: on some file systems, times are that coarse. */
  readonly is_fresh: boolean
}

/** Longer than the coarsest times of a file system, which are FAT's. In milliseconds. */
const FRESH_MS = 3000

/** Marks a file, or that there is none. Never rejects. */
export async function markFile(path: string): Promise<Mark> {
  const now = Date.now()
  try {
    const { dev, ino, size, mtimeNs, ctimeNs, mtimeMs, ctimeMs } = await stat(path, { bigint: true })
    const is_fresh = now - Math.max(Number(mtimeMs), Number(ctimeMs)) < FRESH_MS
    return { text: [dev, ino, size, mtimeNs, ctimeNs].join(' '), is_fresh }
  } catch (error) {
    return { text: String((error as NodeJS.ErrnoException).code), is_fresh: true }
  }
}
