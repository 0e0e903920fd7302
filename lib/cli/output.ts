import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { messageOf } from '../errors.ts'
import { Failure } from './failure.ts'

/**
 * Writes a file.
 *
 * @param options.mode who may read and write it
 * @param options.is_new whether to refuse when there is one already
 * @param options.with_folders whether to make the folders that it needs
 * @throws Failure
 */
export async function writeOutput(
  path: string,
  content: string | Uint8Array,
  {
    mode = 0o666,
    is_new = false,
    with_folders = false,
  }: { mode?: number; is_new?: boolean; with_folders?: boolean } = {},
): Promise<void> {
  try {
    if (with_folders) await mkdir(dirname(path), { recursive: true })
    await writeFile(path, content, { mode, flag: is_new ? 'wx' : 'w' })
  } catch (cause) {
    throw new Failure(`${path}: ${describeWrite(cause, dirname(path))}`, 2, cause)
  }
}

/**
 * Makes sure that nothing in a folder is lost by writing into it: it is empty, or there is none yet.
 *
 * @throws Failure
 */
export async function refuseUnlessEmpty(folder: string): Promise<void> {
  try {
    const names = await readdir(folder)
    if (names.length === 0) return
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return
    throw new Failure(`${folder}: ${describeWrite(cause)}`, 2, cause)
  }
  throw new Failure(`${folder}: expected a new or empty folder, got one with files in it`)
}

function describeWrite(cause: unknown, folder = ''): string {
  const { code } = cause as NodeJS.ErrnoException
  if (code === 'EEXIST') return 'file already exists'
  if (code === 'ENOENT') return `no such folder: ${folder}`
  if (code === 'ENOTDIR') return 'expected a folder, got a file'
  if (code === 'EISDIR') return 'expected a file, got a folder'
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') return `no permission to write (${code})`
  return messageOf(cause)
}
