import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Database } from '../store/database.ts'
import type { Actor } from './actor.ts'
import { findApiToken } from './api-tokens.ts'
import { isSame, readBearer } from './bearer.ts'
import { hashSecret } from './secrets.ts'

/** Lets those to the document who have a token, whatever it is for. */
export interface InstanceGate {
  /** Whether somebody may; an answer that is waited for ends with the token. */
  admit(request: IncomingMessage, response: ServerResponse): Promise<boolean>
  close(): void
}

/** For how long a token is taken to be good that was, in milliseconds: thousands of instances ask again and again. */
const TRUSTED_FOR_MS = 5000
/** Tokens that are remembered; more than anybody has. */
const MOST_TRUSTED = 1000
/** The longest that a timer can wait; in milliseconds. */
const LONGEST_TIMER_MS = 2 ** 31 - 1

/** Makes it. @param report_token by which instances come in, beside those of the database */
export function createInstanceGate({ db, listen }: Database, report_token: string | undefined): InstanceGate {
  const trusted = new Map<string, { readonly actor: Actor; readonly until: number }>()
  const waiting = new Map<ServerResponse, Actor>()

  async function find(bearer: string): Promise<Actor | undefined> {
    const key = hashSecret(bearer)
    const known = trusted.get(key)
    if (known !== undefined && known.until > Date.now()) return known.actor
    trusted.delete(key)
    const actor = await findApiToken(db, bearer)
    if (actor === undefined) return undefined
    if (trusted.size >= MOST_TRUSTED) trusted.clear()
    trusted.set(key, { actor, until: Date.now() + Math.min(TRUSTED_FOR_MS, leftOf(actor)) })
    return actor
  }

  const unlisten = listen('studio_signed_out', (ended) => {
    trusted.clear()
    for (const [response, { account_id, credential }] of waiting) {
      // After an interruption it is not known who was: all have to ask again.
      if (ended === '' || String(account_id) === ended || credential?.id === ended) response.destroy()
    }
  })

  return Object.freeze({
    async admit({ headers }, response) {
      const bearer = readBearer(headers.authorization)
      if (bearer === undefined) return false
      if (isSame(bearer, report_token)) return true
      const actor = await find(bearer)
      if (actor === undefined) return false
      const timer = setTimeout(() => response.destroy(), Math.min(leftOf(actor), LONGEST_TIMER_MS)).unref()
      waiting.set(response, actor)
      response.once('close', () => {
        clearTimeout(timer)
        waiting.delete(response)
      })
      return true
    },
    close: unlisten,
  } satisfies InstanceGate)
}

/** For how long somebody may go on, in milliseconds. */
function leftOf({ credential }: Actor): number {
  return Math.max(0, (credential?.expires_at?.getTime() ?? Number.POSITIVE_INFINITY) - Date.now())
}
