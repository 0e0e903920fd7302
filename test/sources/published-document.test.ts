import { beforeAll, describe, expect, test } from 'vitest'
import { encodeDocument } from '../../lib/sources/published-document.ts'
import { createSigner, type Signer } from '../fixtures/signing.ts'

const DOCUMENT = { general: { version: 3, expires: '2999-01-01T00:00:00Z' }, domains: [] }
const withGeneral = (general: object) => ({ ...DOCUMENT, general: { ...DOCUMENT.general, ...general } })

let signers: Signer[]
beforeAll(async () => {
  signers = await Promise.all([createSigner('EdDSA'), createSigner('Ed25519', 'a'), createSigner('ES256')])
})

/** A signed document, of which something was changed afterwards. */
async function signed(document: object, change: (jws: Record<string, string>) => object = (jws) => jws) {
  return change(JSON.parse(await (signers[0] as Signer).sign(document)))
}
const header = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')

describe('a signed document', () => {
  test('is published as it is, whoever signed it', async () => {
    for (const signer of signers) {
      const text = await signer.sign(DOCUMENT)
      expect(encodeDocument(text).toString()).toBe(text)
      expect(encodeDocument(JSON.parse(text)).toString()).toBe(text)
    }
  })

  test('is published if there is one signature that a reader could accept', async () => {
    const { payload, protected: good, signature } = (await signed(DOCUMENT)) as Record<string, string>
    const signatures = [
      { protected: header({ alg: 'none' }), signature: '' },
      { protected: good, signature },
    ]
    encodeDocument({ payload, signatures })
    expect(() => encodeDocument({ payload, signatures: signatures.slice(0, 1) })).toThrow('the algorithm "none"')
  })

  test.each([
    [
      'no version',
      withGeneral({ version: undefined }),
      'ERR_DYNACODE_VERSION',
      /^general\.version: expected an integer/,
    ],
    [
      'a version in words',
      withGeneral({ version: 'v3' }),
      'ERR_DYNACODE_VERSION',
      /^general\.version: expected an integer/,
    ],
    ['no expiry', withGeneral({ expires: undefined }), 'ERR_DYNACODE_EXPIRED', /^general\.expires: expected a date/],
    [
      'an expiry that is over',
      withGeneral({ expires: '2020-01-01T00:00:00Z' }),
      'ERR_DYNACODE_EXPIRED',
      /time to come/,
    ],
    ['no domains', { general: DOCUMENT.general }, 'ERR_DYNACODE_DOCUMENT', /^domains: expected an array/],
  ])('with %s is refused', async (_, document, code, message) => {
    const given = await signed(document)
    const error = expect.objectContaining({ code, message: expect.stringMatching(message) })
    expect(() => encodeDocument(given)).toThrow(error)
  })

  test.each([
    ['a payload with padding', (jws) => ({ ...jws, payload: `${jws.payload}=` }), /^the payload: expected base64url/],
    ['a payload that is no text', (jws) => ({ ...jws, payload: 5 }), /payload: expected a string, got 5/],
    ['a member that no reader knows', (jws) => ({ ...jws, comment: 'x' }), /^expected a JWS .*comment: is not known/],
    ['no signature', ({ payload }) => ({ payload }), /^expected a JWS/],
    ['an empty list of signatures', ({ payload }) => ({ payload, signatures: [] }), /^expected a JWS/],
    [
      'another algorithm',
      (jws) => ({ ...jws, protected: header({ alg: 'HS256' }) }),
      /^the algorithm "HS256" is none of/,
    ],
    ['no algorithm', (jws) => ({ ...jws, protected: 'e30' }), /^expected a protected header with alg/],
    ['a critical header', (jws) => ({ ...jws, protected: header({ alg: 'EdDSA', crit: ['x'] }) }), /^crit and b64/],
    ['a signature that is cut', (jws) => ({ ...jws, signature: 'AA' }), /^the signature: expected 64 bytes/],
  ] as [string, (jws: Record<string, string>) => object, RegExp][])(
    'with %s is refused',
    async (_, change, message) => {
      const given = await signed(DOCUMENT, change)
      const error = expect.objectContaining({ code: 'ERR_DYNACODE_SIGNATURE', message: expect.stringMatching(message) })
      expect(() => encodeDocument(given)).toThrow(error)
    },
  )
})
