import { readFile, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { messageOf } from '../errors.ts'
import { MANIFEST } from '../sources/folder/manifest.ts'
import { runSteps } from '../time/steps.ts'
import { describeValue } from '../validation/schema-error.ts'
import { ask } from './ask.ts'
import type { CommonOptions } from './command.ts'
import { Failure } from './failure.ts'
import { readHeaderLines } from './header-lines.ts'

/** A document, wherever it was read from. */
export interface Input {
  /** As it was given. */
  readonly name: string
  /** The document; of a signed one, what is signed. */
  readonly text: string
  /** As they were read: of a signed document, with its signatures. */
  readonly bytes: Uint8Array
  readonly is_signed: boolean
  /** The text of the folder's manifest, when it is a folder. */
  readonly manifest: string | undefined
  /** Path of the folder, when it is one. */
  readonly folder: string | undefined
}

const MAX_BYTES = 256 * 1024 * 1024

/**
 * Reads a document from a file, a folder, a URL or, as `-`, from stdin. Signatures are not checked.
 *
 * @throws Failure
 */
export async function readInput(given: string, { sourceHeader = [] }: CommonOptions = {}): Promise<Input> {
  if (given === '-') return open('stdin', await buffer(process.stdin))
  if (/^https?:\/\//i.test(given)) return open(readUrl(given).url, await download(given, sourceHeader))
  const found = await stat(given).catch((cause) => {
    throw new Failure(`${given}: ${describeFileError(cause, 'no such file or folder')}`, 2, cause)
  })
  if (found.isDirectory()) return readFolder(given, given)
  if (basename(given) === MANIFEST) return readFolder(given, dirname(given))
  if (!found.isFile()) throw new Failure(`${given}: expected a file, a folder or a URL`)
  return open(given, await readBytes(given))
}

/**
 * Reads a file as it is.
 *
 * @throws Failure
 */
export async function readBytes(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path)
  } catch (cause) {
    throw new Failure(`${path}: ${describeFileError(cause, 'no such file')}`, 2, cause)
  }
}

/** What went wrong with a file or folder, in words. */
export function describeFileError(cause: unknown, missing: string): string {
  const { code } = cause as NodeJS.ErrnoException
  if (code === 'ENOENT' || code === 'ENOTDIR') return missing
  if (code === 'EACCES' || code === 'EPERM') return `no permission (${code})`
  if (code === 'EISDIR') return 'expected a file, got a folder'
  return messageOf(cause)
}

async function readFolder(name: string, folder: string): Promise<Input> {
  const { lookAt } = await import('../sources/folder/look.ts')
  const { found } = await lookAt(folder, MAX_BYTES, new Map(), new AbortController().signal)
  if (found instanceof Error) throw new Failure(found.message, 2, found)
  const manifest = Buffer.from(await readBytes(join(folder, MANIFEST))).toString()
  return { ...(await open(name, found)), manifest, folder }
}

async function download(given: string, lines: readonly string[]): Promise<Uint8Array> {
  const { url, headers: own } = readUrl(given)
  const headers = new Headers(own)
  for (const [name, value] of Object.entries(readHeaderLines(lines, '--source-header'))) {
    for (const each of [value].flat()) headers.append(name, each)
  }
  // What is in such a header is for this server alone.
  const { status, bytes } = await ask(url, { headers, redirect: lines.length > 0 ? 'manual' : 'follow' })
  if (status < 200 || status > 299) throw new Failure(`${url}: expected status 200, got ${status}`)
  return bytes
}

/**
 * Takes name and password out of a URL, so that no message shows them.
 *
 * @throws Failure
 */
export function readUrl(given: string): { url: string; headers: Record<string, string> } {
  if (!URL.canParse(given))
    throw new Failure(`expected a URL such as http://localhost:3000, got ${describeValue(given)}`)
  const url = new URL(given)
  if (url.username === '' && url.password === '') return { url: given, headers: {} }
  const credentials = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`
  url.username = url.password = ''
  return { url: url.href, headers: { authorization: `Basic ${Buffer.from(credentials).toString('base64')}` } }
}

async function open(name: string, bytes: Uint8Array): Promise<Input> {
  const text = decode(bytes, name)
  if (!looksSigned(text)) return { name, text, bytes, is_signed: false, manifest: undefined, folder: undefined }
  const { decodePayload, readEnvelope } = await import('../background/trust/envelope.ts')
  try {
    const payload = runSteps(decodePayload(runSteps(readEnvelope(bytes)).payload))
    if (payload === undefined) throw new Error('the payload: expected base64url without padding')
    return { name, text: decode(payload, name), bytes, is_signed: true, manifest: undefined, folder: undefined }
  } catch (cause) {
    throw new Failure(`${name}: ${messageOf(cause)}`, 2, cause)
  }
}

function looksSigned(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && Object.hasOwn(value, 'payload') && !('domains' in value)
  } catch {
    return false
  }
}

function decode(bytes: Uint8Array, name: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (cause) {
    throw new Failure(`${name}: the document is not JSON: its bytes are not UTF-8`, 2, cause)
  }
}
