import { OutgoingMessage, type ServerResponse } from 'node:http'
import { watcherOf, watchMethods } from './head-methods.ts'
import { type HeaderValue, type HeadRecord, noteHeader, type Writer } from './header-changes.ts'

/** What plugins write into the head of one response: over HTTP/1 by a look before and after, over HTTP/2 by watching its methods. */
export interface HeadWatch extends HeadRecord {
  readonly http2: boolean
  /** Who is writing; null while no plugin runs. */
  writer: Writer | null
  /** Whether the head is looked at before and after a plugin, rather than its methods watched. */
  readonly looks: boolean
  /** The headers that are looked at, in lower case. */
  names: readonly string[]
  /** Whether there may be others after the plugin. */
  any: boolean
  /** What Node kept of each before the plugin; the lists are used again by the next one, and may be longer than `names`. */
  readonly entries: (Stored | undefined)[]
  /** The value of each; of lists a copy. Node adds to what it keeps in place. */
  readonly values: HeaderValue[]
}

type Stored = readonly [name: string, value: HeaderValue]

/** Where Node keeps the headers of a response: an object whose entries are replaced, or null. */
const STORED = Object.getOwnPropertySymbols(new OutgoingMessage()).find(
  ({ description }) => description === 'kOutHeaders',
)
const NONE: readonly never[] = Object.freeze([])

function readStored(res: ServerResponse): Readonly<Record<string, Stored>> | null {
  return (res as unknown as Record<symbol, Record<string, Stored> | null>)[STORED as symbol] ?? null
}

/**
 * Watches the head of a response. Where the methods are watched, all instances of dynacode that a request passes share what
 * they see: no two plugins run at a time.
 */
export function watchHead(res: ServerResponse): HeadWatch {
  const known = watcherOf<HeadWatch>(res)
  if (known !== undefined) return known
  const http2 = res.req.httpVersionMajor >= 2
  // To look is cheaper than to be told: Node's own code is slower with a response that has methods of its own.
  const looks = !http2 && STORED !== undefined
  const watch: HeadWatch = {
    res,
    methods: res,
    newest: null,
    http2,
    writer: null,
    looks,
    names: NONE,
    any: false,
    entries: [],
    values: [],
  }
  if (!looks) watchMethods(watch)
  return watch
}

/**
 * A plugin begins to write.
 *
 * @param names the only headers that it may write, in lower case; null when it may be any
 */
export function beginHead(watch: HeadWatch, writer: Writer, names: readonly string[] | null): void {
  watch.writer = writer
  if (!watch.looks) return
  const stored = readStored(watch.res)
  const { entries, values } = watch
  const looked = names ?? (stored === null ? NONE : Object.keys(stored))
  for (let index = 0; index < looked.length; index += 1) {
    const entry = stored?.[looked[index] as string]
    const value = entry?.[1]
    entries[index] = entry
    values[index] = Array.isArray(value) ? value.slice() : value
  }
  watch.any = names === null
  watch.names = looked
}

/** A plugin has written, for now: what it did to the headers is among the changes. */
export function noteHead(watch: HeadWatch): void {
  const { writer, res, names, entries, values } = watch
  if (!watch.looks || writer === null) return
  const stored = readStored(res)
  let kept = 0
  for (let index = 0; index < names.length; index += 1) {
    const name = names[index] as string
    const entry = entries[index]
    const now = stored?.[name]
    if (now !== undefined) kept += 1
    const value = values[index]
    if (now === entry && (entry === undefined || isSame(value, entry[1]))) continue
    noteHeader(watch, writer, name, value, entry?.[0] ?? name)
  }
  if (!watch.any || stored === null) return
  const after = Object.keys(stored)
  if (after.length === kept) return
  for (const name of after) if (!names.includes(name)) noteHeader(watch, writer, name, undefined, name)
}

function isSame(was: HeaderValue, is: HeaderValue): boolean {
  if (!Array.isArray(was) || !Array.isArray(is)) return was === is
  return was.length === is.length && was.every((each, index) => each === is[index])
}

/** A header as it is, by its name in lower case. */
export function readHeader(watch: HeadWatch, name: string): HeaderValue {
  return watch.looks ? readStored(watch.res)?.[name]?.[1] : watch.methods.getHeader.call(watch.res, name)
}
