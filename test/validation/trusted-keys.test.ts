import { generateKeyPairSync } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { OptionError } from '../../lib/errors.ts'
import { type DynacodeOptions, parseOptions } from '../../lib/options.ts'
import type { TrustedKeys } from '../../lib/validation/trusted-keys.ts'

const jwk = (...kind: Parameters<typeof makePair>) => makePair(...kind).publicKey.export({ format: 'jwk' })
const makePair = (curve: 'Ed25519' | 'P-256' | 'P-384' | 'X25519') => {
  if (curve === 'Ed25519') return generateKeyPairSync('ed25519')
  if (curve === 'X25519') return generateKeyPairSync('x25519')
  return generateKeyPairSync('ec', { namedCurve: curve })
}
const ed25519 = { ...jwk('Ed25519'), alg: 'EdDSA', kid: 'ed' }
const p256 = { ...jwk('P-256'), alg: 'ES256', kid: 'p' }

const parse = (trusted_keys: unknown) =>
  parseOptions({
    plugin_api_uri: 'http://api.test/',
    trusted_keys: trusted_keys as TrustedKeys,
  } satisfies DynacodeOptions).trusted_keys

function refusal(trusted_keys: unknown): string {
  try {
    parse(trusted_keys)
  } catch (error) {
    if (error instanceof OptionError) return error.message
    throw error
  }
  throw new Error('the keys were accepted')
}
const refusalOf = (...keys: unknown[]) => refusal({ keys })

describe('trusted_keys', () => {
  test('are public keys that each carry their algorithm', () => {
    expect(parse({ keys: [ed25519, p256] })).toEqual({ keys: [ed25519, p256] })
    expect(parse({ keys: [{ ...ed25519, alg: 'Ed25519', kid: undefined }] })?.keys[0]).toMatchObject({ alg: 'Ed25519' })
  })

  test('may say more of themselves, which is dropped', () => {
    const key = { ...ed25519, use: 'sig', key_ops: ['verify'], ext: true, x5t: 'x', d: undefined }
    expect(parse({ keys: [key], updated: 1 })).toEqual({ keys: [ed25519] })
  })

  test('are taken over: what becomes of the object afterwards changes nothing', () => {
    const given = { keys: [{ ...ed25519 }] }
    const parsed = parse(given)
    ;(given.keys[0] as { x: string }).x = 'other'
    given.keys.push({ ...ed25519, kid: 'other' })
    expect(parsed).toEqual({ keys: [ed25519] })
    for (const part of [parsed, parsed?.keys, parsed?.keys[0]]) expect(Object.isFrozen(part)).toBe(true)
  })

  test('may be absent', () => {
    expect(parse(undefined)).toBeUndefined()
  })

  test.each([
    ['nothing', null, 'option trusted_keys: expected an object, got null'],
    ['a list', [ed25519], 'option trusted_keys: expected an object, got an array of 1'],
    ['a key alone', ed25519, 'option trusted_keys.keys: expected an array, got nothing'],
    ['no keys', { keys: [] }, 'option trusted_keys.keys: expected an array of at least 1, got an array of 0'],
    ['too many', { keys: new Array(17).fill({ ...ed25519, kid: undefined }) }, 'at most 16, got an array of 17'],
  ])('are a set: %s is refused', (_what, given, message) => {
    expect(refusal(given)).toContain(message)
  })

  test.each([
    ['no key type', { kty: undefined }, '.kty: expected one of "OKP", "EC", got nothing'],
    ['no algorithm', { alg: undefined }, '.alg: expected one of "EdDSA", "Ed25519", "ES256", got nothing'],
    ['a symmetric algorithm', { alg: 'HS256' }, '.alg: expected one of "EdDSA", "Ed25519", "ES256", got a string'],
    ['no algorithm but "none"', { alg: 'none' }, '.alg: expected one of "EdDSA", "Ed25519", "ES256", got a string'],
    ['the algorithm of another type', { alg: 'ES256' }, '.kty: expected "EC" (the key\'s alg is ES256), got a string'],
    ['another curve', { crv: 'P-256' }, '.crv: expected "Ed25519" (the key\'s alg is EdDSA), got a string'],
    ['no coordinate', { x: undefined }, '.x: expected a string, got nothing'],
    ['a short coordinate', { x: 'AAAA' }, '.x: expected 32 bytes in base64url, got a string'],
    ['a coordinate in base64', { x: `${'A'.repeat(42)}+` }, '.x: expected 32 bytes in base64url, got a string'],
    ['a name that is a number', { kid: 1 }, '.kid: expected a string, got 1'],
    ['an empty name', { kid: '' }, '.kid: expected a string that is not empty, got a string'],
    ['another use', { use: 'enc' }, '.use: expected "sig", got a string'],
    ['other operations', { key_ops: ['sign'] }, '.key_ops: expected an array with "verify", got an array of 1'],
  ])('are refused with %s', (_what, change, message) => {
    expect(refusalOf({ ...ed25519, ...change })).toBe(`option trusted_keys.keys[0]${message}`)
  })

  test.each([
    ['a point off the curve', { ...p256, x: p256.y, y: p256.x }],
    ['half a point', { ...p256, y: undefined }],
  ])('are refused with %s', (_what, key) => {
    expect(refusalOf(ed25519, key)).toBe(
      'option trusted_keys.keys[1]: expected the coordinates of a P-256 key, got an object',
    )
  })

  test.each([
    ['RSA', generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey.export({ format: 'jwk' }), '.kty: '],
    ['P-384', jwk('P-384'), '.crv: '],
    ['X25519', jwk('X25519'), '.crv: '],
  ])('are not of the type %s', (_what, key, where) => {
    expect(refusalOf({ alg: 'EdDSA', ...key })).toContain(`trusted_keys.keys[0]${where}expected one of`)
  })

  test('have names of their own', () => {
    expect(refusalOf(ed25519, p256, { ...p256, kid: 'ed' })).toBe(
      'option trusted_keys.keys[2].kid: expected a kid of its own, got a string',
    )
    const nameless = { ...ed25519, kid: undefined }
    expect(parse({ keys: [nameless, nameless] })?.keys).toHaveLength(2)
  })
})

describe('private keys', () => {
  const { privateKey } = makePair('Ed25519')
  const pem = privateKey.export({ format: 'pem', type: 'pkcs8' }) as string
  const secret = { ...privateKey.export({ format: 'jwk' }), alg: 'EdDSA' } as { d: string }
  const ecSecret = { ...makePair('P-256').privateKey.export({ format: 'jwk' }), alg: 'ES256' } as { d: string }

  test.each([
    ['of Ed25519', secret],
    ['of P-256', ecSecret],
    ['of RSA', generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey.export({ format: 'jwk' })],
    ['that are symmetric', { kty: 'oct', k: secret.d, alg: 'HS256' }],
    ['that are private in part', { ...ed25519, d: '' }],
    ['whose private part is inherited', Object.assign(Object.create({ d: secret.d }), ed25519)],
  ])('%s are refused', (_what, key) => {
    expect(refusalOf(key)).toBe(
      'option trusted_keys.keys[0]: expected a public key, without private or symmetric members (d, k, …), got an object',
    )
  })

  test('are shown in no error, wherever they were put by mistake', () => {
    const misplaced = [
      pem,
      secret.d,
      { keys: pem },
      { keys: [pem] },
      { keys: [secret] },
      { keys: secret },
      { keys: [{ ...ed25519, x: secret.d.slice(1) }] },
      { keys: [{ ...ed25519, kid: [secret.d] }] },
      { keys: [{ ...ed25519, crv: secret.d }] },
      { keys: [{ ...ed25519, alg: pem }] },
      { keys: [{ ...ed25519, use: pem }] },
      { keys: [{ ...ed25519, key_ops: [pem] }] },
      { keys: [{ ...ed25519, kid: pem.repeat(20) }] },
    ]
    for (const given of misplaced) {
      const message = refusal(given)
      expect(message).toContain('option trusted_keys')
      for (const part of [secret.d.slice(1, 12), 'PRIVATE', pem.split('\n')[1]?.slice(0, 20)]) {
        expect(message).not.toContain(part)
      }
    }
  })
})
