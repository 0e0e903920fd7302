import { createPublicKey } from 'node:crypto'
import * as z from 'zod'

/** A public key that verifies documents, as a JSON Web Key (RFC 7517). Members not listed here are ignored. */
export interface TrustedKey {
  /** `OKP` for Ed25519, `EC` for P-256. */
  readonly kty: string
  /** `Ed25519` or `P-256`. */
  readonly crv: string
  /** The only algorithm that the key is used for: `EdDSA` or `Ed25519` (these two mean the same), or `ES256`. */
  readonly alg: string
  readonly x: string
  /** With P-256. */
  readonly y?: string | undefined
  /** The key's name. A signature that names a key is verified with that key only. */
  readonly kid?: string | undefined
}

/** Public keys that verify documents, as a JWK Set: one valid signature is enough. */
export interface TrustedKeys {
  readonly keys: readonly TrustedKey[]
}

const MAX_KEYS = 16
/** Only private and symmetric keys have these. */
const SECRET_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k', 'priv']
const PROFILES = {
  EdDSA: { kty: 'OKP', crv: 'Ed25519' },
  Ed25519: { kty: 'OKP', crv: 'Ed25519' },
  ES256: { kty: 'EC', crv: 'P-256' },
} as const

/** Those that signatures may have. */
export const ALGORITHMS: readonly string[] = Object.keys(PROFILES)

const coordinate = z.string().regex(/^[\w-]{43}$/, '32 bytes in base64url')
const keyShape = z.object({
  kty: z.enum(['OKP', 'EC']),
  crv: z.enum(['Ed25519', 'P-256']),
  alg: z.enum(['EdDSA', 'Ed25519', 'ES256']),
  x: coordinate,
  y: coordinate.optional(),
  kid: z.string().min(1).max(1024).optional(),
  use: z.literal('sig').optional(),
  key_ops: z
    .array(z.unknown())
    .refine((operations) => operations.includes('verify'), 'an array with "verify"')
    .optional(),
})

const keySchema = z
  // First of all, and about the key as a whole: no message can then show the secret.
  .custom<TrustedKey>((key) => !hasSecret(key), 'a public key, without private or symmetric members (d, k, …)')
  .pipe(keyShape)
  .superRefine((key, context) => {
    const profile = PROFILES[key.alg]
    for (const name of ['kty', 'crv'] as const) {
      if (key[name] === profile[name]) continue
      context.addIssue({ code: 'custom', path: [name], message: `"${profile[name]}" (the key's alg is ${key.alg})` })
      return
    }
    if (!isImportable(key)) context.addIssue({ code: 'custom', message: `the coordinates of a ${key.crv} key` })
  })
  .transform(({ kty, crv, alg, x, y, kid }): TrustedKey => Object.freeze({ kty, crv, alg, x, y, kid }))

/**
 * The option `trusted_keys`. What it parses is frozen, and holds public members only.
 *
 * @internal
 */
export const trustedKeysSchema = z
  .object({ keys: z.array(keySchema).min(1).max(MAX_KEYS) })
  .superRefine(({ keys }, context) => {
    const kids = new Set<string>()
    for (const [index, { kid }] of keys.entries()) {
      if (kid === undefined) continue
      if (kids.has(kid)) context.addIssue({ code: 'custom', path: ['keys', index, 'kid'], message: 'a kid of its own' })
      kids.add(kid)
    }
  })
  .transform(({ keys }): TrustedKeys => Object.freeze({ keys: Object.freeze(keys) }))

function hasSecret(key: unknown): boolean {
  if (typeof key !== 'object' || key === null) return false
  return SECRET_MEMBERS.some((member) => (key as Record<string, unknown>)[member] !== undefined)
}

/** Whether the coordinates are a point of the curve. */
function isImportable({ kty, crv, x, y }: z.infer<typeof keyShape>): boolean {
  try {
    createPublicKey({ key: { kty, crv, x, y }, format: 'jwk' })
    return true
  } catch {
    return false
  }
}
