import { createHash, timingSafeEqual } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { normalizeHost } from '../../matching/host-pattern.ts'
import type { Clock } from '../../time/clock.ts'
import { createTokenBucket } from '../../time/token-bucket.ts'
import type { TrustedKey } from '../../validation/trusted-keys.ts'
import { type DebugOptions, LONGEST_TOKEN } from './options.ts'
import { DEBUG_TOKEN_TYPE, LONGEST_DEBUG_TOKEN_MS } from './token.ts'

/** Whom a token lets in. */
interface Grant {
  /** Until when, in milliseconds since 1970. */
  readonly expires: number
  /** For which host alone; undefined for any. */
  readonly host: string | undefined
}

/** Tells who may see what plugins did to a request. */
export type DebugAccess = (token: string, host: string) => boolean | Promise<boolean>

/** So many signatures are checked at once, */
const BURST = 20
/** and so many a second after that: whoever makes tokens up must not get more of the processor than that. */
const PER_SECOND = 5
/** Tokens whose outcome is remembered, of those that were good and of those that were not. */
const REMEMBERED = 500

/** A clock may be late, and make a token look good for longer than it is. */
const SLACK_MS = 300_000
/** By another clock, or with time, a token may be good after all. */
const REFUSED_FOR_MS = 60_000

const SIGNED = /^[\w-]{1,400}\.[\w-]{1,800}\.[\w-]{86}$/
const REFUSED: Grant = Object.freeze({ expires: Number.NEGATIVE_INFINITY, host: undefined })

/** Makes what decides about debug tokens. No token is kept, and none is in what it throws: it throws nothing. */
export function createDebugAccess({ tokens = [], trusted_keys }: DebugOptions, clock: Clock): DebugAccess {
  const listed = tokens.map(digest)
  const keys = trusted_keys?.keys ?? []
  // Only where it is needed, and then before the first token comes.
  if (keys.length > 0) void import('jose')
  const bucket = createTokenBucket(BURST, PER_SECOND)
  // Apart, or whoever sends many wrong ones would have the good ones forgotten.
  const granted = new LRUCache<string, Grant>({ max: REMEMBERED })
  const refused = new LRUCache<string, true>({ max: REMEMBERED, ttl: REFUSED_FOR_MS })
  const pending = new Map<string, Promise<Grant>>()

  async function verify(token: string, id: string): Promise<Grant> {
    const grant = await openToken(token, keys, clock.now())
    pending.delete(id)
    if (grant === REFUSED) refused.set(id, true)
    else granted.set(id, grant)
    return grant
  }

  const isGood = ({ expires, host: only }: Grant, host: string) =>
    clock.now() < expires && (only === undefined || only === host)

  return (token, host) => {
    if (token.length > LONGEST_TOKEN) return false
    const hash = digest(token)
    // Each is compared, whatever came of those before it.
    if (listed.filter((each) => timingSafeEqual(each, hash)).length > 0) return true
    if (keys.length === 0 || !SIGNED.test(token)) return false
    const id = hash.toString('latin1')
    const known = granted.get(id)
    if (known !== undefined) return isGood(known, host)
    if (refused.has(id)) return false
    let verifying = pending.get(id)
    if (verifying === undefined) {
      if (bucket.peek() > 0) return false
      bucket.take()
      verifying = verify(token, id)
      pending.set(id, verifying)
    }
    return verifying.then((grant) => isGood(grant, host))
  }
}

/** What a signed token grants: a JWT in compact form (RFC 7519) of its own type, with an end that is not far. */
async function openToken(token: string, keys: readonly TrustedKey[], now: number): Promise<Grant> {
  const { decodeProtectedHeader } = await import('jose')
  try {
    const { alg, kid } = decodeProtectedHeader(token)
    const fitting = keys.filter((key) => key.alg === alg && (kid === undefined || key.kid === kid))
    for (const key of fitting) {
      const grant = await openWith(key, token, now)
      if (grant !== REFUSED) return grant
    }
  } catch {
    // Whatever is wrong with it, it opens nothing.
  }
  return REFUSED
}

async function openWith(key: TrustedKey, token: string, now: number): Promise<Grant> {
  const { jwtVerify } = await import('jose')
  try {
    const { payload } = await jwtVerify(token, key, {
      algorithms: [key.alg],
      typ: DEBUG_TOKEN_TYPE,
      requiredClaims: ['exp'],
      currentDate: new Date(now),
    })
    const { exp = 0, host } = payload
    const expires = exp * 1000
    if (expires > now + LONGEST_DEBUG_TOKEN_MS + SLACK_MS) return REFUSED
    if (host === undefined) return Object.freeze({ expires, host })
    return typeof host === 'string' ? Object.freeze({ expires, host: normalizeHost(host) }) : REFUSED
  } catch {
    return REFUSED
  }
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
