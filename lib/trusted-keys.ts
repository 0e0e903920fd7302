import { z } from 'zod'

/** Public keys, as a JWK Set (RFC 7517). */
export interface TrustedKeys {
  readonly keys: readonly object[]
}

/** The option `trusted_keys`. */
export const trustedKeysSchema = z.custom<TrustedKeys>(
  (value) => typeof value === 'object' && value !== null,
  'a JWK Set',
)
