import type { JWK } from 'jose'
import type { PrivateKey } from '../tools/sign-document.ts'
import { describeKind, describeMismatch } from '../validation/schema-error.ts'
import type { TrustedKeys } from '../validation/trusted-keys.ts'
import { Failure } from './failure.ts'
import { readBytes } from './input.ts'

/** Algorithms that keys are made for. */
export const ALGORITHMS = ['EdDSA', 'ES256'] as const

/** Makes a key pair, as JSON Web Keys. */
export async function createKeys(
  alg: string,
  kid: string,
): Promise<{ private_key: JWK; trusted_keys: { keys: JWK[] } }> {
  const { exportJWK, generateKeyPair } = await import('jose')
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true })
  const named = { alg, kid }
  return {
    private_key: { ...(await exportJWK(privateKey)), ...named },
    trusted_keys: { keys: [{ ...(await exportJWK(publicKey)), ...named }] },
  }
}

/**
 * Reads a private key. No message shows anything of it.
 *
 * @throws Failure
 */
export async function readPrivateKey(path: string): Promise<PrivateKey> {
  const key = await readJsonFile(path)
  const { d, kty, alg, ...rest } = (typeof key === 'object' && key !== null ? key : {}) as JWK & { keys?: unknown }
  if (rest.keys !== undefined) throw new Failure(`${path}: expected a private key, got a set of keys`)
  if (typeof kty !== 'string' || typeof alg !== 'string') {
    throw new Failure(`${path}: expected a private key as a JSON Web Key with kty and alg`)
  }
  if (typeof d !== 'string') throw new Failure(`${path}: expected a private key, got a public one`)
  return key as PrivateKey
}

/**
 * Reads the public keys that an app trusts.
 *
 * @throws Failure
 */
export async function readTrustedKeys(path: string): Promise<TrustedKeys> {
  const keys = await readJsonFile(path)
  const { trustedKeysSchema } = await import('../validation/trusted-keys.ts')
  const parsed = trustedKeysSchema.safeParse(keys)
  if (parsed.success) return parsed.data
  const { path: inner, message } = describeMismatch(parsed.error, keys, describeKind)
  throw new Failure(`${path}: ${inner === '' ? '' : `${inner}: `}${message}`)
}

async function readJsonFile(path: string): Promise<unknown> {
  const text = Buffer.from(await readBytes(path)).toString()
  try {
    return JSON.parse(text)
  } catch {
    // The parser's own message quotes the text, which may be secret.
    throw new Failure(`${path}: not valid JSON`)
  }
}
