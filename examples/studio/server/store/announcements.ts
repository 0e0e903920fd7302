import type { PGlite } from '@electric-sql/pglite'
import { type Kysely, sql } from 'kysely'
import pg from 'pg'
import type { Tables } from './tables.ts'

/** What processes of the studio tell each other of. */
export type Channel = 'studio_version' | 'studio_report' | 'studio_change' | 'studio_signed_out' | 'studio_webhook'

/**
 * Listens on a channel.
 *
 * @param heard called with the announcement's text; and with `''` when something may have been missed: before it began to
 *   listen, which takes a moment, and during an interruption
 * @returns ends it
 */
export type Listening = (channel: Channel, heard: (payload: string) => void) => () => void

/** Announces something to every process, once the transaction is committed. */
export async function announce(db: Kysely<Tables>, channel: Channel, payload: string): Promise<void> {
  await sql`select pg_notify(${channel}, ${payload})`.execute(db)
}

/** Listens to the database inside this process. */
export function listenEmbedded(engine: Pick<PGlite, 'listen'>): Listening {
  return (channel, heard) => {
    const listening = engine.listen(channel, heard)
    return () => {
      listening.then((unlisten) => unlisten()).catch(() => undefined)
    }
  }
}

/** Pause before a broken connection is made anew, in milliseconds. */
const PAUSE_MS = 1000

/** Listens to a server, over a connection of its own. */
export function listenServer(url: string): { listen: Listening; close(): Promise<void> } {
  const listeners = new Map<Channel, Set<(payload: string) => void>>()
  let client: pg.Client | undefined
  let timer: NodeJS.Timeout | undefined
  /** What is being asked of the connection: one thing at a time. */
  let ready: Promise<unknown> = Promise.resolve()
  let closed = false

  const tell = (channel: string, payload: string) => {
    for (const heard of listeners.get(channel as Channel) ?? []) heard(payload)
  }

  function again(broken: pg.Client): void {
    if (client !== broken) return
    client = undefined
    broken.end().catch(() => undefined)
    if (closed || timer !== undefined) return
    timer = setTimeout(() => {
      timer = undefined
      ready = connect()
    }, PAUSE_MS).unref()
  }

  async function connect(): Promise<void> {
    if (closed || client !== undefined) return
    const own = new pg.Client({ connectionString: url, keepAlive: true })
    client = own
    own.on('error', () => again(own))
    own.on('end', () => again(own))
    own.on('notification', ({ channel, payload = '' }) => tell(channel, payload))
    try {
      await own.connect()
      for (const channel of listeners.keys()) await begin(own, channel)
    } catch {
      again(own)
    }
  }

  async function begin(connected: pg.Client, channel: Channel): Promise<void> {
    await connected.query(`listen ${channel}`)
    tell(channel, '')
  }

  return {
    listen(channel, heard) {
      const known = listeners.get(channel)
      if (known === undefined) {
        listeners.set(channel, new Set([heard]))
        if (client === undefined) ready = connect()
        else ready = ready.then(() => client && begin(client, channel)).catch(() => undefined)
      } else {
        known.add(heard)
      }
      return () => void listeners.get(channel)?.delete(heard)
    },
    async close() {
      closed = true
      clearTimeout(timer)
      await client?.end().catch(() => undefined)
    },
  }
}
