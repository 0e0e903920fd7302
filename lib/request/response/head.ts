import { OutgoingMessage, type ServerResponse, validateHeaderName, validateHeaderValue } from 'node:http'
import type { LivePlugin } from '../../program.ts'
import { cutResponse } from './cut.ts'

export type HeaderValue = number | string | string[] | undefined

/** A plugin at work, and what becomes of it when Node refuses to send what it left in the head. */
export interface Writer {
  plugin: LivePlugin
  /** Has the plugin fail; returns whether the response may go on without what it left there. */
  readonly refused: (plugin: LivePlugin, error: unknown) => boolean
}

/** A header as it was before a plugin wrote it. */
interface HeaderChange extends Readonly<Writer> {
  /** In lower case. */
  readonly name: string
  readonly before: HeaderValue
}

/** The methods by which a head is written, as they are without dynacode. */
type HeadMethods = Pick<ServerResponse, 'setHeader' | 'removeHeader' | 'appendHeader' | 'getHeader' | 'writeHead'>

/** What plugins write into the head of one response: over HTTP/1 by a look before and after, over HTTP/2 by watching its methods. */
export interface HeadWatch {
  readonly res: ServerResponse
  readonly http2: boolean
  methods: HeadMethods
  /** Every header that a plugin wrote, oldest first. */
  readonly changes: HeaderChange[]
  /** Who is writing; null while no plugin runs. */
  writer: Writer | null
  /** Where the head is looked at before and after a plugin: what was there before; null where its methods are watched. */
  before: Before | null
}

/** The headers that there were, as Node keeps them, and a copy of the values where these are a list, which is added to in place. */
interface Before {
  readonly keys: readonly string[]
  readonly entries: readonly Stored[]
  readonly lists: readonly (string[] | null)[]
}
type Stored = readonly [name: string, value: HeaderValue]

/** Where Node keeps the headers of a response: an object whose entries are replaced, or null. */
const STORED = Object.getOwnPropertySymbols(new OutgoingMessage()).find(
  ({ description }) => description === 'kOutHeaders',
)
const NONE: Before = Object.freeze({ keys: [], entries: [], lists: [] })

function readStored(res: ServerResponse): Readonly<Record<string, Stored>> | null {
  return (res as unknown as Record<symbol, Record<string, Stored> | null>)[STORED as symbol] ?? null
}

/** A plugin begins to write. */
export function beginHead(watch: HeadWatch, writer: Writer): void {
  watch.writer = writer
  if (watch.before === null) return
  const stored = readStored(watch.res)
  if (stored === null) {
    watch.before = NONE
    return
  }
  const keys = Object.keys(stored)
  const entries: Stored[] = []
  const lists: (string[] | null)[] = []
  for (const key of keys) {
    const entry = stored[key] as Stored
    entries.push(entry)
    lists.push(Array.isArray(entry[1]) ? entry[1].slice() : null)
  }
  watch.before = { keys, entries, lists }
}

/** A plugin has written, for now: what it did to the headers is among the changes. */
export function noteHead(watch: HeadWatch): void {
  const { before, writer, changes, res } = watch
  if (before === null || writer === null) return
  const stored = readStored(res)
  const { keys, entries, lists } = before
  if (stored === null && keys.length === 0) return
  const { plugin, refused } = writer
  let kept = 0
  for (let index = 0; index < keys.length; index += 1) {
    const key = keys[index] as string
    const entry = entries[index] as Stored
    const list = lists[index] ?? null
    const now = stored?.[key]
    if (now !== undefined) kept += 1
    if (now === entry && (list === null ? !Array.isArray(entry[1]) : isSame(list, entry[1]))) continue
    changes.push({ plugin, refused, name: key, before: list ?? entry[1] })
  }
  if (stored === null) return
  const after = Object.keys(stored)
  if (after.length === kept) return
  for (const name of after) if (!keys.includes(name)) changes.push({ plugin, refused, name, before: undefined })
}

function isSame(list: readonly string[], value: HeaderValue): boolean {
  return Array.isArray(value) && value.length === list.length && value.every((each, index) => each === list[index])
}

/** Has Node's own check of the head count, where a plugin left what it finds fault with only when all is known. */
export function watchWriting(watch: HeadWatch): void {
  const { res } = watch
  if (watch.before === null || (res as Partial<Watched>)[WATCH] !== undefined) return
  watch.methods = readMethods(res)
  ;(res as Watched)[WATCH] = watch
  res.writeHead = writeWatched as typeof res.writeHead
}

const WATCH = Symbol('dynacode head')

type Watched = ServerResponse & { [WATCH]: HeadWatch }

/**
 * Watches the head of a response. All instances of dynacode that a request passes share what they see: no two plugins run
 * at a time.
 */
export function watchHead(res: ServerResponse): HeadWatch {
  const known = (res as Watched)[WATCH] as HeadWatch | undefined
  if (known !== undefined) return known
  const http2 = res.req.httpVersionMajor >= 2
  // To look is cheaper than to be told: Node's own code is slower with a response that has methods of its own.
  if (!http2 && STORED !== undefined) return { res, http2, methods: res, changes: [], writer: null, before: NONE }
  const watch: HeadWatch = { res, http2, methods: readMethods(res), changes: [], writer: null, before: null }
  // Functions of all responses, rather than of each.
  ;(res as Watched)[WATCH] = watch
  res.setHeader = setWatched as ServerResponse['setHeader']
  res.removeHeader = removeWatched
  res.appendHeader = appendWatched as ServerResponse['appendHeader']
  res.getHeader = getWatched
  res.writeHead = writeWatched as ServerResponse['writeHead']
  return watch
}

function readMethods({ setHeader, removeHeader, appendHeader, getHeader, writeHead }: ServerResponse): HeadMethods {
  return { setHeader, removeHeader, appendHeader, getHeader, writeHead }
}

/** Puts every header back that was written since there were so many changes. */
export function takeHeadersBack(watch: HeadWatch, from: number): void {
  const changes = watch.changes.splice(from)
  if (watch.res.headersSent) return
  for (const change of changes.reverse()) putBack(watch, change)
}

/** The headers that plugins wrote and that are there still, as they are now. */
export function readWritten(watch: HeadWatch, isMeant: (plugin: LivePlugin) => boolean): [string, HeaderValue][] {
  const names = new Set(watch.changes.filter(({ plugin }) => isMeant(plugin)).map(({ name }) => name))
  return [...names].map((name) => [name, watch.methods.getHeader.call(watch.res, name)])
}

function putBack({ res, methods }: HeadWatch, { name, before }: HeaderChange): void {
  if (before === undefined) methods.removeHeader.call(res, name)
  else methods.setHeader.call(res, name, before)
}

function note(watch: HeadWatch, { plugin, refused }: Writer, name: unknown): void {
  if (typeof name !== 'string') return
  const before = watch.methods.getHeader.call(watch.res, name)
  // A list may be added to in place: the cookies of Koa's are.
  const kept = Array.isArray(before) ? before.slice() : before
  watch.changes.push({ plugin, refused, name: name.toLowerCase(), before: kept })
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
  const { methods, changes } = watch
  if (watch.writer !== null || changes.length === 0) return methods.writeHead.apply(this, given)
  for (;;) {
    try {
      return methods.writeHead.apply(this, given)
    } catch (error) {
      const blamed = this.headersSent ? undefined : changes.findLast((change) => isAbout(error, change))
      if (blamed === undefined) throw error
      const { plugin, name } = blamed
      const theirs = changes.filter((change) => change.plugin === plugin && change.name === name)
      for (const change of theirs.reverse()) {
        putBack(watch, change)
        changes.splice(changes.indexOf(change), 1)
      }
      if (blamed.refused(plugin, error)) continue
      cutResponse(this, error)
      return this
    }
  }
}

function isAbout(error: unknown, { name }: HeaderChange): boolean {
  const { code, message } = error as NodeJS.ErrnoException
  return code === 'ERR_HTTP_TRAILER_INVALID' ? name === 'trailer' : String(message).toLowerCase().includes(`"${name}"`)
}
