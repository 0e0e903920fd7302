import { OutgoingMessage, type ServerResponse } from 'node:http'
import type { Uses } from '../../program.ts'
import { watcherOf, watchMethods } from './head-methods.ts'
import { type HeaderValue, noteHeader, type Writable, type Writer, type WrittenHead } from './header-changes.ts'

/** How the head of a response was before a plugin: over HTTP/1 by a look at it, over HTTP/2 its methods tell what changes. */
export interface HeadSnapshot extends Writer {
  /** Whether the head is looked at. */
  looks: boolean
  /** The headers that are looked at, in lower case. */
  names: readonly string[]
  /** Whether there may be others after the plugin. */
  any: boolean
  /** How many of them are looked at again when the plugin has not failed. */
  kept: number
  /** What Node kept of each; the lists are used again by the next plugin, and may be longer than `names`. */
  readonly entries: (Stored | undefined)[]
  /** The value of each; of lists a copy. Node adds to what it keeps in place. */
  readonly values: HeaderValue[]
  /** The last header that had been written. */
  written: WrittenHead['newest']
}

type Stored = readonly [name: string, value: HeaderValue]

/** Where Node keeps the headers of a response: an object whose entries are replaced, or null. */
const STORED = Object.getOwnPropertySymbols(new OutgoingMessage()).find(
  ({ description }) => description === 'kOutHeaders',
)
/** What of a plugin's code tells how to look. */
export type HeadWrites = Pick<Uses, 'headers' | 'kept' | 'checked'>

const NONE: readonly never[] = Object.freeze([])

function readStored(res: ServerResponse): Readonly<Record<string, Stored>> | null {
  return (res as unknown as Record<symbol, Record<string, Stored> | null>)[STORED as symbol] ?? null
}

/**
 * What plugins write into the head of a response. Where the methods are watched, all instances of dynacode that a request
 * passes share what they see: no two plugins run at a time.
 */
export function headOf(request: Writable): WrittenHead {
  request.head ??= watcherOf(request.ctx.res) ?? createHead(request.ctx.res)
  return request.head
}

function createHead(res: ServerResponse): WrittenHead {
  const http2 = res.req.httpVersionMajor >= 2
  const head: WrittenHead = { res, http2, methods: res, newest: null, writer: null }
  if (http2 || STORED === undefined) watchMethods(head)
  return head
}

/**
 * Takes a look at the head before a plugin.
 *
 * @param writes what it may write
 */
export function beginHead(snapshot: HeadSnapshot, { headers: names, kept, checked }: HeadWrites): void {
  const { request, plugin } = snapshot
  const { req, res } = request.ctx
  // To look is cheaper than to be told: Node's own code is slower with a response that has methods of its own.
  snapshot.looks = STORED !== undefined && req.httpVersionMajor < 2
  const head = snapshot.looks ? request.head : headOf(request)
  snapshot.written = head === null ? null : head.newest
  request.writer = snapshot
  if (head !== null) head.writer = snapshot
  if (!snapshot.looks) return
  const stored = readStored(res)
  const { entries, values } = snapshot
  const looked = names ?? (stored === null ? NONE : Object.keys(stored))
  for (let index = 0; index < looked.length; index += 1) {
    const entry = stored === null ? undefined : stored[looked[index] as string]
    entries[index] = entry
    values[index] = entry === undefined ? undefined : keep(entry[1])
  }
  snapshot.any = names === null
  snapshot.names = looked
  // What nobody has to check is worth a second look only where a filter may throw on purpose: what header filters wrote before
  // goes into the answer to that.
  if (!checked) snapshot.kept = looked.length
  else snapshot.kept = request.keeps_written && plugin.phase === 'header_filter' ? kept : 0
}

function keep(value: HeaderValue): HeaderValue {
  return Array.isArray(value) ? value.slice() : value
}

/**
 * A plugin has written: what it did to the headers is among the changes.
 *
 * @param failed whether it may be taken back: then all of it
 */
export function endHead(snapshot: HeadSnapshot, failed = false): void {
  const { request } = snapshot
  const count = failed ? snapshot.names.length : snapshot.kept
  if (snapshot.looks && (count > 0 || snapshot.any)) compare(snapshot, request.ctx.res, count)
  request.writer = null
  if (request.head !== null) request.head.writer = null
}

function compare(snapshot: HeadSnapshot, res: ServerResponse, count: number): void {
  const { names, entries, values } = snapshot
  const stored = readStored(res)
  let kept = 0
  for (let index = 0; index < count; index += 1) {
    const name = names[index] as string
    const entry = entries[index]
    const now = stored === null ? undefined : stored[name]
    if (now !== undefined) kept += 1
    const value = values[index]
    if (now === entry && (entry === undefined || isSame(value, entry[1]))) continue
    note(snapshot, name, value, entry === undefined ? name : entry[0])
  }
  if (!snapshot.any || stored === null) return
  const after = Object.keys(stored)
  if (after.length === kept) return
  for (const name of after) if (!names.includes(name)) note(snapshot, name, undefined, name)
}

function note(snapshot: HeadSnapshot, name: string, before: HeaderValue, spelled: string): void {
  const { request } = snapshot
  // Another instance may have begun to watch the response meanwhile.
  if (request.head === null) snapshot.written = headOf(request).newest
  noteHeader(headOf(request), snapshot, name, before, spelled)
}

function isSame(was: HeaderValue, is: HeaderValue): boolean {
  if (!Array.isArray(was) || !Array.isArray(is)) return was === is
  return was.length === is.length && was.every((each, index) => each === is[index])
}

/** A header as it is, by its name in lower case. */
export function readHeader({ res, methods }: WrittenHead, looks: boolean, name: string): HeaderValue {
  return looks ? readStored(res)?.[name]?.[1] : methods.getHeader.call(res, name)
}
