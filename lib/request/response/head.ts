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
  /** What Node kept of each before the plugin. */
  entries: readonly (Stored | undefined)[]
  /** A copy of each value that is a list, which is added to in place. */
  lists: readonly (string[] | undefined)[] | null
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
    entries: NONE,
    lists: null,
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
  watch.any = names === null
  watch.lists = null
  if (stored === null) {
    watch.names = names ?? NONE
    watch.entries = NONE
    return
  }
  const looked = names ?? Object.keys(stored)
  const entries: (Stored | undefined)[] = new Array(looked.length)
  for (let index = 0; index < looked.length; index += 1) {
    const entry = stored[looked[index] as string]
    entries[index] = entry
    if (entry !== undefined && Array.isArray(entry[1])) watch.lists = copyList(watch.lists, index, entry[1])
  }
  watch.names = looked
  watch.entries = entries
}

function copyList(lists: HeadWatch['lists'], index: number, list: readonly string[]): (string[] | undefined)[] {
  const copies = (lists ?? []) as (string[] | undefined)[]
  copies[index] = list.slice()
  return copies
}

/** A plugin has written, for now: what it did to the headers is among the changes. */
export function noteHead(watch: HeadWatch): void {
  const { writer, res, names, entries, lists } = watch
  if (!watch.looks || writer === null) return
  const stored = readStored(res)
  let kept = 0
  for (let index = 0; index < names.length; index += 1) {
    const name = names[index] as string
    const entry = entries[index]
    const now = stored?.[name]
    if (now !== undefined) kept += 1
    const list = lists?.[index]
    if (now === entry && (entry === undefined || isSame(list, entry[1]))) continue
    noteHeader(watch, writer, name, list ?? entry?.[1])
  }
  if (!watch.any || stored === null) return
  const after = Object.keys(stored)
  if (after.length === kept) return
  for (const name of after) if (!names.includes(name)) noteHeader(watch, writer, name, undefined)
}

/** Whether a value is still that of which this is the copy, if it was a list. */
function isSame(list: readonly string[] | undefined, value: HeaderValue): boolean {
  if (list === undefined) return !Array.isArray(value)
  return Array.isArray(value) && value.length === list.length && value.every((each, index) => each === list[index])
}

/** A header as it is, by its name in lower case. */
export function readHeader(watch: HeadWatch, name: string): HeaderValue {
  return watch.looks ? readStored(watch.res)?.[name]?.[1] : watch.methods.getHeader.call(watch.res, name)
}
