import { type FileSystem, isForbidden } from './safety.ts'

/** Bytes that are read or written by one call: whoever closes does not wait for more than that. */
const PIECE = 1_048_576

/** Reads the first so many bytes of a file on the thread pool, or as many as there are. */
export async function readPieces(fs: FileSystem, fd: number, size: number, closing: AbortSignal): Promise<Buffer> {
  const file = Buffer.alloc(size)
  for (let at = 0; at < size; ) {
    closing.throwIfAborted()
    const count = await call<number>((done) => fs.read(fd, file, at, Math.min(PIECE, size - at), at, done))
    if (count === 0) return file.subarray(0, at)
    at += count
  }
  return file
}

/** Writes all of the parts, one behind the other, on the thread pool. */
export async function writePieces(
  fs: FileSystem,
  fd: number,
  parts: readonly Uint8Array[],
  closing: AbortSignal,
): Promise<void> {
  let at = 0
  for (const part of parts) {
    // One call may write less than it is given: on a disk that is nearly full, for one.
    for (let from = 0; from < part.length; ) {
      closing.throwIfAborted()
      const count = await call<number>((done) =>
        fs.write(fd, part, from, Math.min(PIECE, part.length - from), at, done),
      )
      from += count
      at += count
    }
  }
}

/**
 * Has the disk take what was written, on the thread pool. Where Node does not allow that (`node --permission`), the system does
 * so when it likes: what a loss of power leaves then is told by its checksum.
 */
export async function syncFile(fs: FileSystem, fd: number): Promise<void> {
  try {
    await call<void>((done) => fs.fsync(fd, (error) => done(error, undefined)))
  } catch (error) {
    if (!isForbidden(error)) throw error
  }
}

/** What Node calls back with, as a promise; one that throws at once rejects it. */
function call<T>(begin: (done: (error: Error | null, result: T) => void) => void): Promise<T> {
  return new Promise((resolve, reject) => begin((error, result) => (error === null ? resolve(result) : reject(error))))
}
