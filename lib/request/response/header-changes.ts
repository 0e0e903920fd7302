import type { ServerResponse } from 'node:http'
import type { LivePlugin } from '../../program.ts'

export type HeaderValue = number | string | string[] | undefined

/** A plugin at work, and what becomes of it when Node refuses to send what it left in the head. */
export interface Writer {
  plugin: LivePlugin
  /** Has the plugin fail; returns whether the response may go on without what it left there. */
  readonly refused: (plugin: LivePlugin, error: unknown) => boolean
}

/** A header as it was before a plugin wrote it. */
export interface HeaderChange extends Readonly<Writer> {
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
export interface HeadRecord {
  readonly res: ServerResponse
  methods: HeadMethods
  /** The newest of the headers that plugins wrote; null before the first. */
  newest: HeaderChange | null
}

/** Notes what a header was before a plugin wrote it. */
export function noteHeader(
  record: HeadRecord,
  { plugin, refused }: Writer,
  name: string,
  before: HeaderValue,
  spelled: string,
): void {
  record.newest = { plugin, refused, name, before, spelled, earlier: record.newest }
}

/** Puts every header back that was written after another. */
export function takeHeadersBack(record: HeadRecord, last: HeaderChange | null): void {
  if (!record.res.headersSent) for (const change of changesSince(record, last)) putBack(record, change)
  record.newest = last
}

/** Puts back what the plugin of a change did to that header. */
export function takeHeaderBack(record: HeadRecord, { plugin, name }: HeaderChange): void {
  let later: HeaderChange | null = null
  for (let change = record.newest; change !== null; change = change.earlier) {
    if (change.plugin !== plugin || change.name !== name) {
      later = change
      continue
    }
    putBack(record, change)
    if (later === null) record.newest = change.earlier
    else later.earlier = change.earlier
  }
}

/** The headers that were written after another, newest first. */
export function* changesSince({ newest }: HeadRecord, last: HeaderChange | null): Generator<HeaderChange> {
  for (let change = newest; change !== null && change !== last; change = change.earlier) yield change
}

function putBack({ res, methods }: HeadRecord, { name, before, spelled }: HeaderChange): void {
  if (before === undefined) methods.removeHeader.call(res, name)
  else methods.setHeader.call(res, spelled, before)
}

/** The headers that plugins wrote and that are there still, as they are now. */
export function readWritten(record: HeadRecord, isMeant: (plugin: LivePlugin) => boolean): [string, HeaderValue][] {
  const meant = [...changesSince(record, null)].filter(({ plugin }) => isMeant(plugin))
  const names = new Set(meant.map(({ name }) => name).reverse())
  return [...names].map((name) => [name, record.methods.getHeader.call(record.res, name)])
}
