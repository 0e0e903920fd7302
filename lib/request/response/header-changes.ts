import type { ServerResponse } from 'node:http'
import type { Context } from 'koa'
import type { LivePlugin } from '../../program.ts'

export type HeaderValue = number | string | string[] | undefined

/** A request that plugins may change, and the response to it. */
export interface Writable {
  readonly ctx: Context
  /** What plugins wrote into the head of the response; null before the first header. */
  head: WrittenHead | null
  /** Who may be writing; null while no plugin runs. */
  writer: Writer | null
  /** Whether it is to be known in the end what header filters wrote. */
  readonly keeps_written: boolean
  /** Has a plugin fail for what it left there; null where nothing is for plugins to change. */
  readonly refuse: Refuse | null
}

/**
 * Has a plugin fail whose response cannot be sent.
 *
 * @returns whether the response may go on without what the plugin did to it
 */
export type Refuse = (request: Writable, plugin: LivePlugin, error: unknown) => boolean

/** A plugin at work. */
export interface Writer {
  readonly plugin: LivePlugin
  readonly request: Writable
}

/** A header as it was before a plugin wrote it. */
export interface HeaderChange extends Writer {
  /** In lower case. */
  readonly name: string
  readonly before: HeaderValue
  /** The name as it was written then: over HTTP/1 that is how it is sent. */
  readonly spelled: string
  /** The one before it; null for the first. */
  earlier: HeaderChange | null
}

/** The methods by which a head is written, as they are without dynacode. */
export type HeadMethods = Pick<
  ServerResponse,
  'setHeader' | 'removeHeader' | 'appendHeader' | 'getHeader' | 'writeHead'
>

/** What plugins wrote into the head of a response. */
export interface WrittenHead {
  readonly res: ServerResponse
  readonly http2: boolean
  methods: HeadMethods
  /** The newest of the headers that plugins wrote; null before the first. */
  newest: HeaderChange | null
  /** Who is writing; null while no plugin runs. */
  writer: Writer | null
}

/** Notes what a header was before a plugin wrote it. */
export function noteHeader(
  head: WrittenHead,
  { plugin, request }: Writer,
  name: string,
  before: HeaderValue,
  spelled: string,
): void {
  head.newest = { plugin, request, name, before, spelled, earlier: head.newest }
}

/** Puts every header back that was written after another. */
export function takeHeadersBack(head: WrittenHead, last: HeaderChange | null): void {
  if (!head.res.headersSent) for (const change of changesSince(head, last)) putBack(head, change)
  head.newest = last
}

/** Puts back what the plugin of a change did to that header. */
export function takeHeaderBack(head: WrittenHead, { plugin, name }: HeaderChange): void {
  let later: HeaderChange | null = null
  for (let change = head.newest; change !== null; change = change.earlier) {
    if (change.plugin !== plugin || change.name !== name) {
      later = change
      continue
    }
    putBack(head, change)
    if (later === null) head.newest = change.earlier
    else later.earlier = change.earlier
  }
}

/** The headers that were written after another, newest first. */
export function* changesSince({ newest }: WrittenHead, last: HeaderChange | null): Generator<HeaderChange> {
  for (let change = newest; change !== null && change !== last; change = change.earlier) yield change
}

function putBack({ res, methods }: WrittenHead, { name, before, spelled }: HeaderChange): void {
  if (before === undefined) methods.removeHeader.call(res, name)
  else methods.setHeader.call(res, spelled, before)
}

/** The headers that plugins wrote and that are there still, as they are now. */
export function readWritten(head: WrittenHead, isMeant: (plugin: LivePlugin) => boolean): [string, HeaderValue][] {
  const meant = [...changesSince(head, null)].filter(({ plugin }) => isMeant(plugin))
  const names = new Set(meant.map(({ name }) => name).reverse())
  return [...names].map((name) => [name, head.methods.getHeader.call(head.res, name)])
}
