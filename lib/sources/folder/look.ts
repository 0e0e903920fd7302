import { createHash } from 'node:crypto'
import { realpath } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { TextDecoder } from 'node:util'
import { DynacodeError, type ParseFault } from '../../errors.ts'
import { describeValue } from '../../validation/schema-error.ts'
import { type FileRead, markFile, readFolderFile } from './file.ts'
import { type CodeOrFault, MANIFEST, readManifest } from './manifest.ts'
import { isTypeScript, stripTypes } from './strip-types.ts'

/** What the folder was found to be. */
export interface Look {
  /** The document, or why there is none. */
  readonly found: Uint8Array | DynacodeError
  /** Hash of the document or of the error's message: two looks with the same tag found the same. */
  readonly tag: string
  /** Files that were read, or were to be. */
  readonly files: readonly string[]
  /** Folders in which these files are. */
  readonly folders: readonly string[]
  /** Tells states of these files apart without reading them. */
  readonly mark: string
  /** What need not be read again by the next look. */
  readonly reads: Reads
}

/** Files that were read, by their path, with their mark of that time. */
export type Reads = ReadonlyMap<string, { readonly mark: string; readonly came: FileRead }>

/** What `Look.mark` is now. */
export async function markFolder(path: string, files: readonly string[]): Promise<string> {
  const real = await realpath(path).catch(() => '')
  const marks = new Map<string, string>()
  // One after the other: nothing waits for it, and the threads that read files are the app's, too.
  for (const file of files) marks.set(file, (await markFile(join(path, file))).text)
  return toMark(real, marks)
}

/** The same whatever the order in which the files were looked at. */
function toMark(real: string, marks: ReadonlyMap<string, string>): string {
  return [real, ...[...marks].map((entry) => entry.join(' ')).sort()].join('\n')
}

/** How many files are read at once. */
const READERS = 8

/**
 * Reads the folder once. All of it is read in the place where it really is at the beginning: when a symbolic link to it
 * is turned meanwhile, the old folder is read to the end.
 *
 * @param max_bytes limit on the sum of all files
 * @param known what an earlier look has read
 * @throws the reason of the signal, if that aborts
 */
export async function lookAt(path: string, max_bytes: number, known: Reads, signal: AbortSignal): Promise<Look> {
  const folders = new Set<string>()
  const marks = new Map([[MANIFEST, 'ENOENT']])
  const reads = new Map<string, { mark: string; came: FileRead }>()
  let left = max_bytes
  let real = ''

  async function read(file: string): Promise<FileRead> {
    signal.throwIfAborted()
    const at = join(real, file)
    // Before it is read: what comes later than that is a change.
    const { text: mark, is_fresh } = await markFile(at)
    marks.set(file, mark)
    const allow = (bytes: number) => {
      left -= bytes
      if (left < 0) throw tooLarge(join(path, file), max_bytes)
    }
    const before = known.get(at)
    const came = before?.mark === mark ? before.came : await toJavaScript(file, await readFolderFile(real, file, allow))
    if (came === before?.came && 'bytes' in came) allow(came.bytes.length)
    if (!is_fresh) reads.set(at, { mark, came })
    folders.add(dirname(at))
    if ('real' in came) folders.add(dirname(came.real))
    return came
  }

  async function compose(): Promise<Uint8Array> {
    real = await realpath(path)
    const came = await read(MANIFEST)
    if ('fault' in came) throw new DynacodeError('ERR_DYNACODE_FETCH', `${path}: ${came.fault}`)
    const name = join(path, MANIFEST)
    const text = decode(came.bytes)
    if (text === undefined) throw new DynacodeError('ERR_DYNACODE_FETCH', `${name} is not UTF-8`)
    const manifest = readManifest(text, name)
    const codes = new Map<string, CodeOrFault>()
    const rest = manifest.files.values()
    const readAll = async () => {
      for (const file of rest) codes.set(file, toCode(file, await read(file)))
    }
    await Promise.all(Array.from({ length: READERS }, readAll))
    return manifest.compose((file) => codes.get(file) as CodeOrFault) ?? came.bytes
  }

  const found = await compose().catch((cause) => {
    signal.throwIfAborted()
    return toError(cause, path)
  })
  const content = found instanceof DynacodeError ? found.message : found
  const tag = createHash('sha256').update(content).digest('base64url')
  return Object.freeze({
    found,
    tag,
    files: [...marks.keys()],
    folders: [...folders],
    mark: toMark(real, marks),
    reads,
  })
}

function toCode(file: string, came: FileRead): CodeOrFault {
  if ('fault' in came) return came
  const code = decode(came.bytes)
  return code === undefined ? { fault: `the file ${describeValue(file)} is not UTF-8` } : { code }
}

/** A file of TypeScript without its types: here, so that one that has not changed is not stripped again. */
async function toJavaScript(file: string, came: FileRead): Promise<FileRead> {
  const code = 'bytes' in came && isTypeScript(file) ? decode(came.bytes) : undefined
  if ('fault' in came || code === undefined) return came
  try {
    return { ...came, bytes: Buffer.from(await stripTypes(code)) }
  } catch (error) {
    const { line, column, message } = error as ParseFault
    const place = [file, line, column].filter((part) => part !== undefined).join(':')
    return { fault: `${place}: ${message}` }
  }
}

/** Without the byte order mark that some editors put in front. */
function decode(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    return undefined
  }
}

function tooLarge(file: string, max_bytes: number): DynacodeError {
  const message = `${file}: the files have more than ${max_bytes} bytes together (max_bytes)`
  return new DynacodeError('ERR_DYNACODE_FETCH_TOO_LARGE', message)
}

function toError(cause: unknown, path: string): DynacodeError {
  if (cause instanceof DynacodeError) return cause
  const { code, message } = cause as NodeJS.ErrnoException
  const what = code === 'ENOENT' ? 'there is no such folder' : `the folder cannot be read: ${message}`
  return new DynacodeError('ERR_DYNACODE_FETCH', `${path}: ${what}`, { cause })
}
