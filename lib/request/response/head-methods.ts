import { type ServerResponse, validateHeaderName, validateHeaderValue } from 'node:http'
import { cutResponse } from './cut.ts'
import {
  changesSince,
  type HeaderChange,
  type HeaderValue,
  type HeadMethods,
  noteHeader,
  takeHeaderBack,
  type Writer,
  type WrittenHead,
} from './header-changes.ts'

const WATCH = Symbol('dynacode head')

type Watched = ServerResponse & { [WATCH]: WrittenHead }

/** Who watches the methods of a response, if anybody does. */
export function watcherOf(res: ServerResponse): WrittenHead | undefined {
  return (res as Watched)[WATCH]
}

/** Has every method tell by which a head is written. */
export function watchMethods(watch: WrittenHead): void {
  const { res } = watch
  watchWriting(watch)
  // Functions of all responses, rather than of each.
  res.setHeader = setWatched as ServerResponse['setHeader']
  res.removeHeader = removeWatched
  res.appendHeader = appendWatched as ServerResponse['appendHeader']
  res.getHeader = getWatched
}

/** Has Node's own check of the head count, where a plugin left what it finds fault with only when all is known. */
export function watchWriting(watch: WrittenHead): void {
  const { res } = watch
  if (watcherOf(res) !== undefined) return
  watch.methods = readMethods(res)
  ;(res as Watched)[WATCH] = watch
  res.writeHead = writeWatched as ServerResponse['writeHead']
}

function readMethods({ setHeader, removeHeader, appendHeader, getHeader, writeHead }: ServerResponse): HeadMethods {
  return { setHeader, removeHeader, appendHeader, getHeader, writeHead }
}

function note(watch: WrittenHead, writer: Writer, name: unknown): void {
  if (typeof name !== 'string') return
  const before = watch.methods.getHeader.call(watch.res, name)
  // A list may be added to in place: the cookies of Koa's are.
  const kept = Array.isArray(before) ? before.slice() : before
  noteHeader(watch, writer, name.toLowerCase(), kept, name)
}

function setWatched(this: ServerResponse, name: string, value: number | string | readonly string[]): ServerResponse {
  const watch = (this as Watched)[WATCH]
  if (watch.writer !== null) {
    note(watch, watch.writer, name)
    if (watch.http2) validate(name, value)
  }
  return watch.methods.setHeader.call(this, name, value)
}

function removeWatched(this: ServerResponse, name: string): void {
  const watch = (this as Watched)[WATCH]
  if (watch.writer !== null) note(watch, watch.writer, name)
  watch.methods.removeHeader.call(this, name)
}

function appendWatched(this: ServerResponse, name: string, value: string | readonly string[]): ServerResponse {
  const watch = (this as Watched)[WATCH]
  if (watch.writer !== null) {
    note(watch, watch.writer, name)
    if (watch.http2) validate(name, value)
  }
  return watch.methods.appendHeader.call(this, name, value)
}

function getWatched(this: ServerResponse, name: string): HeaderValue {
  const watch = (this as Watched)[WATCH]
  const value = watch.methods.getHeader.call(this, name)
  if (watch.writer !== null && Array.isArray(value)) note(watch, watch.writer, name)
  return value
}

/** Over HTTP/2 Node destroys the stream for a name that is none, and leaves values to the library beneath. */
function validate(name: string, value: unknown): void {
  validateHeaderName(name)
  for (const each of [value].flat()) validateHeaderValue(name, each as string)
}

/** Node's own checks have the last word: what a plugin left that they refuse is taken back, and the rest is sent. */
function writeWatched(this: ServerResponse, ...given: Parameters<ServerResponse['writeHead']>): ServerResponse {
  const watch = (this as Watched)[WATCH]
  const { methods } = watch
  if (watch.writer !== null || watch.newest === null) return methods.writeHead.apply(this, given)
  for (;;) {
    try {
      return methods.writeHead.apply(this, given)
    } catch (error) {
      const blamed = this.headersSent ? undefined : [...changesSince(watch, null)].find((each) => isAbout(error, each))
      if (blamed === undefined) throw error
      takeHeaderBack(watch, blamed)
      if (blamed.request.refuse?.(blamed.request, blamed.plugin, error)) continue
      cutResponse(this, error)
      return this
    }
  }
}

function isAbout(error: unknown, { name }: HeaderChange): boolean {
  const { code, message } = error as NodeJS.ErrnoException
  return code === 'ERR_HTTP_TRAILER_INVALID' ? name === 'trailer' : String(message).toLowerCase().includes(`"${name}"`)
}
