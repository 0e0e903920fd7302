import { createHash, createPrivateKey, type JsonWebKey, sign } from 'node:crypto'
import fc from 'fast-check'
import { base64url, CompactSign, FlattenedSign, flattenedVerify, importJWK, type JWK } from 'jose'
import { beforeAll, describe, expect, test } from 'vitest'
import { checkFreshness, createVerifier, readUnverified } from '../../../lib/background/trust/verifier.ts'
import { DynacodeError } from '../../../lib/errors.ts'
import { runInSlices } from '../../../lib/time/slices.ts'
import { trustedKeysSchema } from '../../../lib/validation/trusted-keys.ts'
import { createSigner, type Signer, signTogether } from '../../fixtures/signing.ts'
import { tries } from '../../fixtures/tries.ts'

const DOCUMENT = '{"general":{"version":7},"domains":[{"name":"PRIVATE-PAYLOAD"}]}'
const NEWER = '{"general":{"version":8},"domains":[]}'

let ed25519: Signer
let p256: Signer
let nameless: Signer
let stranger: Signer

beforeAll(async () => {
  ed25519 = await createSigner('EdDSA', 'ed')
  p256 = await createSigner('ES256', 'p256')
  nameless = await createSigner('Ed25519')
  stranger = await createSigner('EdDSA', 'ed')
})

const trust = (...signers: Signer[]) =>
  createVerifier(trustedKeysSchema.parse({ keys: signers.map(({ public_key }) => public_key) }))

async function openWith(signers: Signer[], envelope: string | Uint8Array) {
  const bytes = typeof envelope === 'string' ? Buffer.from(envelope) : envelope
  const { text_bytes, kid } = await trust(...signers).verify(bytes)
  return { text: Buffer.from(text_bytes).toString(), kid }
}

/** The message that the envelope is refused with; any other error fails the test. */
async function refusal(signers: Signer[], envelope: string | Uint8Array): Promise<string> {
  try {
    await openWith(signers, envelope)
  } catch (error) {
    if (!(error instanceof DynacodeError)) throw error
    expect(error.code).toBe('ERR_DYNACODE_SIGNATURE')
    const shown = `${error.message} ${error.cause} ${JSON.stringify(error.cause)}`
    for (const secret of ['PRIVATE-PAYLOAD', base64url.encode(DOCUMENT).slice(0, 20), ed25519.public_key.x]) {
      expect(shown).not.toContain(secret)
    }
    return error.message
  }
  throw new Error('the envelope was accepted')
}

/** The envelope with other members. */
const change = (envelope: string, members: object) => JSON.stringify({ ...JSON.parse(envelope), ...members })
const encodeHeader = (header: object) => base64url.encode(JSON.stringify(header))

describe('an envelope that is ours', () => {
  test.each(['EdDSA', 'Ed25519', 'ES256'] as const)('gives its document, signed with %s', async (alg) => {
    const signer = await createSigner(alg, 'a')
    expect(await openWith([signer], await signer.sign(DOCUMENT))).toEqual({ text: DOCUMENT, kid: 'a' })
    expect(await openWith([signer], await signTogether(DOCUMENT, [signer]))).toEqual({ text: DOCUMENT, kid: 'a' })
  })

  test('is found by trying the keys of its algorithm where it names none', async () => {
    const envelope = await nameless.sign(DOCUMENT)
    const other = await createSigner('Ed25519', 'other')
    expect(await openWith([ed25519, p256, other, nameless], envelope)).toEqual({ text: DOCUMENT, kid: undefined })
  })

  test('may name the key in the unprotected header, as it can only choose among trusted keys', async () => {
    const { payload, protected: header, signature } = JSON.parse(await nameless.sign(DOCUMENT))
    const named = { ...nameless, public_key: { ...nameless.public_key, kid: 'named' } }
    const envelope = JSON.stringify({
      payload,
      signatures: [{ protected: header, header: { kid: 'named' }, signature }],
    })
    expect(await openWith([ed25519, named], envelope)).toEqual({ text: DOCUMENT, kid: 'named' })
    expect(await refusal([ed25519, named], envelope.replace('"named"', '"ed"'))).toMatch('"Ed25519" is not that of')
  })

  test('may have other signatures beside ours', async () => {
    const foreign = { protected: encodeHeader({ alg: 'ES512', kid: 'x', crit: ['y'], y: 1 }), signature: 'AAAA' }
    const ours = JSON.parse(await signTogether(DOCUMENT, [stranger, p256]))
    const envelope = JSON.stringify({ ...ours, signatures: [foreign, ...ours.signatures] })
    expect(await openWith([ed25519, p256], envelope)).toEqual({ text: DOCUMENT, kid: 'p256' })
  })

  test('may be written with white space and in any order', async () => {
    const { payload, protected: header, signature } = JSON.parse(await p256.sign(DOCUMENT))
    const envelope = JSON.stringify({ signature, protected: header, payload }, null, '\t')
    expect(await openWith([p256], envelope)).toEqual({ text: DOCUMENT, kid: 'p256' })
  })

  test('may say more in the signed header than what counts', async () => {
    const envelope = await ed25519.sign(DOCUMENT, { typ: 'JOSE+JSON', iat: 1, jwk: stranger.public_key })
    expect(await openWith([ed25519], envelope)).toEqual({ text: DOCUMENT, kid: 'ed' })
  })

  test('may be of many megabytes, and of bytes that are no text', async () => {
    const bytes = Buffer.alloc(9_000_001, 'PRIVATE-PAYLOAD')
    bytes[0] = 0xff
    const { text_bytes } = await trust(ed25519).verify(Buffer.from(await ed25519.sign(bytes)))
    const sha1 = (data: Uint8Array) => createHash('sha1').update(data).digest('hex')
    expect(sha1(text_bytes)).toBe(sha1(bytes))
  })
})

describe('an envelope of any size', () => {
  // Around what is read, decoded and hashed at a stretch.
  test.each([0, 1, 2, 3, 4, 12_287, 12_288, 12_289, 12_290, 196_607, 196_608, 196_609, 196_610, 600_001])(
    'gives its document of %i bytes',
    async (length) => {
      const bytes = Buffer.from(Array.from({ length }, (_, at) => (at * 31 + (at >> 8)) & 255))
      for (const signer of [ed25519, p256]) {
        for (const envelope of [await signer.sign(bytes), await signTogether(bytes, [stranger, signer])]) {
          const { text_bytes } = await trust(signer).verify(Buffer.from(` ${envelope}`).subarray(1))
          expect(Buffer.from(text_bytes).equals(bytes)).toBe(true)
          const at = envelope.length >> 1
          const other = envelope[at] === 'A' ? 'B' : 'A'
          await refusal([signer], envelope.slice(0, at) + other + envelope.slice(at + 1))
        }
      }
    },
  )

  test('is verified step by step', async () => {
    const bytes = Buffer.alloc(3_000_000, 'PRIVATE-PAYLOAD')
    for (const signer of [ed25519, p256]) {
      const steps: number[] = []
      const { text_bytes } = await trust(signer).verify(Buffer.from(await signer.sign(bytes)), (work) => {
        for (let count = 1; ; count += 1) {
          const step = work.next()
          if (step.done !== true) continue
          steps.push(count)
          return step.value
        }
      })
      expect(text_bytes).toHaveLength(3_000_000)
      // It is read in one, as its strings are few; then 4 MB are signed and decoded, a quarter of a megabyte at a time.
      expect(steps).toEqual([1, expect.toSatisfy((count) => count > 16), expect.toSatisfy((count) => count > 16)])
    }
  })

  test('is laid down when what does the work says so, whatever other signatures there are', async () => {
    const envelope = Buffer.from(await signTogether(DOCUMENT, [ed25519, p256]))
    const closing = new AbortController()
    const verifying = trust(ed25519, p256).verify(envelope, (steps) => runInSlices(steps, closing.signal))
    closing.abort()
    await expect(verifying).rejects.toHaveProperty('code', 'ERR_DYNACODE_CLOSED')
  })
})

describe('an envelope is refused', () => {
  test.each([
    ['the bare document', DOCUMENT],
    ['nothing', ''],
    ['no JSON', '<html>PRIVATE-PAYLOAD</html>'],
    ['null', 'null'],
    ['an array', '["payload"]'],
    ['a string', '"payload"'],
    ['a byte order mark', '\ufeff{"payload":"","protected":"","signature":""}'],
    ['brackets without end', `{"payload":${'['.repeat(4_000_000)}${']'.repeat(4_000_000)}}`],
    ['a member for each byte', `{"payload":"",${'"PRIVATE-PAYLOAD":1,'.repeat(200_000)}"a":1}`],
    ['quotes without end', '"'.repeat(4_000_000)],
    ['escapes', '{"payl\\u006fad":"","protected":"","signature":""}'],
  ])('when it is %s', async (_what, text) => {
    expect(await refusal([ed25519], text)).toMatch('not signed')
  })

  test.each([
    ['three strings of megabytes', 3, 1_000_000],
    ['a megabyte of strings', 100, 10_000],
  ])('when it has %s', async (_what, count, length) => {
    const texts = Array.from({ length: count }, () => 'A'.repeat(length))
    expect(await refusal([ed25519], JSON.stringify({ payload: 'e30', texts }))).toMatch('not signed')
  })

  test.each(['e31', 'e30=', 'e30 ', '\ne30', 'e3+_', 'e3/_', 'e30A=', 'A', ''.padEnd(20_001, 'A'), 'é'])(
    'when its payload is written as %j, though that is what was signed',
    async (payload) => {
      for (const signer of [ed25519, p256]) {
        const key = createPrivateKey({ key: signer.private_key as unknown as JsonWebKey, format: 'jwk' })
        const header = encodeHeader({ alg: signer.alg, kid: signer.kid })
        const alg = signer.alg === 'ES256' ? 'sha256' : null
        const signOf = (text: string) =>
          sign(alg, Buffer.from(`${header}.${text}`), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url')
        const envelopeOf = (text: string) =>
          JSON.stringify({ payload: text, protected: header, signature: signOf(text) }).replace('\\n', '\n')
        expect(await openWith([signer], envelopeOf('e30'))).toMatchObject({ text: '{}' })
        expect(await refusal([signer], envelopeOf(payload))).toMatch(/without padding|not signed/)
      }
    },
  )

  test('when it is not UTF-8', async () => {
    const envelope = Buffer.from(await ed25519.sign(DOCUMENT))
    expect(await refusal([ed25519], Buffer.concat([envelope, Buffer.from([0xff])]))).toMatch('not signed')
  })

  test.each([
    ['no signature', { signature: undefined }, /: signature: expected a string, got nothing/],
    ['no protected header', { protected: undefined }, /: protected: expected a string, got nothing/],
    ['an empty protected header', { protected: '' }, /protected header with alg/],
    ['an algorithm in the unprotected header', { header: { alg: 'EdDSA' } }, /header\.alg: is not known/],
    ['a key in the unprotected header', { header: { jwk: {} } }, /header\.jwk: is not known/],
    ['crit in the unprotected header', { header: { crit: [] } }, /header\.crit: is not known/],
    ['a second kid', { header: { kid: 'ed' } }, /kid stands in both headers/],
    ['signatures of both kinds', { signatures: [{ protected: '', signature: '' }] }, /is not known/],
    ['no signatures', { signatures: [] }, /is not known|at least 1/],
    ['signatures that are null', { signatures: null }, /expected an array, got null/],
    ['an unknown member', { extra: 'PRIVATE-PAYLOAD' }, /extra: is not known/],
    ['a payload that is an object', { payload: JSON.parse(DOCUMENT) }, /payload: expected a string, got an object/],
    ['an empty signature', { signature: '' }, /does not fit/],
    ['a short signature', { signature: 'AAAA' }, /does not fit/],
    ['a padded signature', { signature: `${'A'.repeat(86)}==` }, /base64url without padding/],
    ['a header of megabytes', { protected: 'A'.repeat(4_000_000) }, /at most 16384 characters/],
    ['a payload that is not ASCII', { payload: 'PRIVATE-PAYLOAD é' }, /does not fit/],
  ])('with %s', async (_what, members, message) => {
    expect(await refusal([ed25519], change(await ed25519.sign(DOCUMENT), members))).toMatch(message)
  })

  test.each([
    ['{"payload":"e30",', 'payload'],
    ['{"signature":"AAAA",', 'signature'],
    ['{"protected":"e30",', 'protected'],
  ])('with a member that stands there twice: %s…', async (first, name) => {
    const envelope = await ed25519.sign(DOCUMENT)
    expect(await refusal([ed25519], envelope.replace('{', first))).toMatch('stands there twice')
    expect(await refusal([ed25519], envelope.replace(/\}$/, `,"${name}":"e30"}`))).toMatch('stands there twice')
    const proto = envelope.replace('{', '{"__proto__":{"payload":"e30"},')
    expect(await refusal([ed25519], proto)).toMatch('__proto__: is not known')
  })

  test('with more than 16 signatures, the valid one among them or not', async () => {
    const { payload, signatures } = JSON.parse(await signTogether(DOCUMENT, [ed25519]))
    const other = { protected: encodeHeader({ alg: 'EdDSA', kid: 'ed' }), signature: 'A'.repeat(86) }
    const withOthers = (count: number) =>
      JSON.stringify({ payload, signatures: [...new Array(count).fill(other), ...signatures] })
    expect(await openWith([ed25519], withOthers(15))).toEqual({ text: DOCUMENT, kid: 'ed' })
    expect(await refusal([ed25519], withOthers(16))).toMatch('at most 16 signatures, got 17')
    expect(await refusal([ed25519], withOthers(1_000))).toMatch('at most 16 signatures')
    expect(await refusal([ed25519], withOthers(100_000))).toMatch('not signed')
  })

  test('when a stranger signed it under a name that we trust', async () => {
    expect(await refusal([ed25519], await stranger.sign(DOCUMENT))).toMatch('does not fit')
    expect(await refusal([ed25519], await stranger.sign(DOCUMENT, { jwk: stranger.public_key }))).toMatch(
      'does not fit',
    )
  })

  test('when it names a key that is not trusted, though one that is made it', async () => {
    expect(await refusal([ed25519], await ed25519.sign(DOCUMENT, { kid: 'old' }))).toMatch(
      'no trusted key has the kid "old"',
    )
  })

  test('when the key has no name in our set and the envelope names one', async () => {
    expect(await refusal([nameless], await nameless.sign(DOCUMENT, { kid: 'a' }))).toMatch('no trusted key has the kid')
  })

  test('when it is by none of the keys that could be meant', async () => {
    const unnamed = await createSigner('EdDSA')
    expect(await refusal([ed25519, p256], await unnamed.sign(DOCUMENT))).toMatch('does not fit')
  })

  test('when the signature is of another document', async () => {
    const [older, newer] = [JSON.parse(await ed25519.sign(DOCUMENT)), JSON.parse(await ed25519.sign(NEWER))]
    const swapped = JSON.stringify({ ...older, payload: newer.payload })
    expect(await refusal([ed25519], swapped)).toMatch('does not fit')
    expect(await refusal([ed25519], JSON.stringify({ ...newer, payload: older.payload }))).toMatch('does not fit')
  })

  test('when the signature is of another header', async () => {
    const envelope = await ed25519.sign(DOCUMENT)
    const header = encodeHeader({ kid: 'ed', alg: 'EdDSA' })
    expect(header).not.toBe(JSON.parse(envelope).protected)
    expect(await refusal([ed25519], change(envelope, { protected: header }))).toMatch('does not fit')
  })

  test('in the compact serialization', async () => {
    const jws = new CompactSign(Buffer.from(DOCUMENT)).setProtectedHeader({ alg: 'EdDSA', kid: 'ed' })
    expect(await refusal([ed25519], await jws.sign(ed25519.private_key))).toMatch('not signed')
  })

  test('with an extension that would change what is signed', async () => {
    const sign = (header: { alg: string; crit?: string[]; b64?: boolean }) =>
      new FlattenedSign(Buffer.from('e30')).setProtectedHeader(header).sign(ed25519.private_key)
    const plain = await sign({ alg: 'EdDSA', crit: ['b64'], b64: false })
    expect(await refusal([ed25519], JSON.stringify({ ...plain, payload: 'e30' }))).toMatch('not supported')
    expect(await refusal([ed25519], await ed25519.sign(DOCUMENT, { b64: true }))).toMatch('not supported')
    const critical = change(await ed25519.sign(DOCUMENT), { protected: encodeHeader({ alg: 'EdDSA', crit: ['exp'] }) })
    expect(await refusal([ed25519], critical)).toMatch('not supported')
  })
})

describe('the algorithm is that of the key, whatever the envelope says', () => {
  test.each(['none', 'None', 'NONE', '', 'HS256', 'RS256', 'ES384', 'Ed25519', '__proto__', 'constructor'])(
    '%j is refused',
    async (alg) => {
      const envelope = await ed25519.sign(DOCUMENT)
      for (const header of [{ alg }, { alg, kid: 'ed' }]) {
        const other = change(envelope, { protected: encodeHeader(header) })
        expect(await refusal([ed25519], other)).toMatch(/the algorithm ".*" is (of no trusted key|not that of the key)/)
        expect(await refusal([ed25519], change(other, { signature: '' }))).toMatch('the algorithm')
      }
    },
  )

  test.each([[null], [undefined], [1], [['EdDSA']], [{}]])('%j is refused', async (alg) => {
    const envelope = change(await ed25519.sign(DOCUMENT), { protected: encodeHeader({ alg, kid: 'ed' }) })
    expect(await refusal([ed25519], envelope)).toMatch('a protected header with alg')
  })

  test('a MAC made with the public key as its secret is refused', async () => {
    const { x, y } = p256.public_key
    const secrets = [
      JSON.stringify(p256.public_key),
      x,
      Buffer.from(x, 'base64url'),
      Buffer.concat([Buffer.from([4]), Buffer.from(x, 'base64url'), Buffer.from(y as string, 'base64url')]),
    ]
    for (const secret of secrets) {
      for (const header of [{ alg: 'HS256' }, { alg: 'HS256', kid: 'p256' }]) {
        const jws = new FlattenedSign(Buffer.from(DOCUMENT)).setProtectedHeader(header)
        expect(await refusal([p256], JSON.stringify(await jws.sign(Buffer.from(secret))))).toMatch('"HS256"')
      }
    }
  })

  test('a key is not tried with another algorithm of its kind', async () => {
    const renamed = { ...ed25519, public_key: { ...ed25519.public_key, alg: 'Ed25519' } }
    expect(await refusal([renamed], await ed25519.sign(DOCUMENT))).toMatch('"EdDSA" is not that of the key "ed"')
    expect(await refusal([p256], await ed25519.sign(DOCUMENT, { kid: 'p256' }))).toMatch('not that of the key "p256"')
  })
})

describe('whatever is changed', () => {
  test.each(['EdDSA', 'ES256'] as const)('one bit anywhere is enough to be refused (%s)', async (alg) => {
    const signer = await createSigner(alg, 'k')
    const verifier = trust(signer)
    for (const envelope of [await signer.sign('{"domains":[]}'), await signTogether('{"domains":[]}', [signer])]) {
      const bytes = Buffer.from(envelope)
      const accepted: string[] = []
      for (let bit = 0; bit < bytes.length * 8; bit += 1) {
        const changed = Uint8Array.from(bytes)
        changed[bit >> 3] = (changed[bit >> 3] as number) ^ (1 << (bit & 7))
        await verifier.verify(changed).then(
          () => accepted.push(Buffer.from(changed).toString()),
          (error) => expect(error).toHaveProperty('code', 'ERR_DYNACODE_SIGNATURE'),
        )
      }
      expect(accepted).toEqual([])
    }
  })

  test('no edit of an envelope gives another document', async () => {
    const verifier = trust(ed25519, p256)
    const envelopes = [
      await ed25519.sign(DOCUMENT),
      await p256.sign(DOCUMENT),
      await signTogether(DOCUMENT, [ed25519, p256]),
    ].map((text) => Buffer.from(text))
    const edit = fc.record({
      envelope: fc.constantFrom(...envelopes),
      at: fc.nat(),
      removed: fc.nat({ max: 40 }),
      added: fc.oneof(
        fc.uint8Array({ maxLength: 8 }),
        fc
          .constantFrom('"', '{', '}', ',', '"payload":"e30",', '"signatures":[],', '=', ' ')
          .map((text) => Buffer.from(text)),
      ),
    })
    await fc.assert(
      fc.asyncProperty(edit, async ({ envelope, at, removed, added }) => {
        const start = at % envelope.length
        const edited = Buffer.concat([envelope.subarray(0, start), added, envelope.subarray(start + removed)])
        try {
          const { text_bytes } = await verifier.verify(edited)
          expect(Buffer.from(text_bytes).toString()).toBe(DOCUMENT)
        } catch (error) {
          expect(error).toHaveProperty('code', 'ERR_DYNACODE_SIGNATURE')
        }
      }),
      tries(375),
    )
  })

  test('what is accepted, another library accepts as well, as the same document', async () => {
    const verifier = trust(ed25519, p256)
    const keys = await Promise.all([ed25519, p256].map(({ public_key, alg }) => importJWK(public_key as JWK, alg)))
    const members = { protected: fc.nat(1), payload: fc.nat(3), signature: fc.nat(3) }
    const parts = [JSON.parse(await ed25519.sign(DOCUMENT)), JSON.parse(await p256.sign(DOCUMENT))]
    const others = [JSON.parse(await ed25519.sign(NEWER)), JSON.parse(await p256.sign(NEWER))]
    const all = [...parts, ...others]
    let accepted = 0
    await fc.assert(
      fc.asyncProperty(fc.record(members), async (from) => {
        const jws = {
          protected: all[from.protected].protected,
          payload: all[from.payload].payload,
          signature: all[from.signature].signature,
        }
        const theirs = await flattenedVerify(jws, keys[from.protected] as Parameters<typeof flattenedVerify>[1]).catch(
          () => undefined,
        )
        const ours = await verifier.verify(Buffer.from(JSON.stringify(jws))).catch(() => undefined)
        expect(ours && Buffer.from(ours.text_bytes)).toEqual(theirs && Buffer.from(theirs.payload))
        if (ours !== undefined) accepted += 1
      }),
      tries(50),
    )
    expect(accepted).toBeGreaterThan(0)
  })

  test('what no key signed is refused, and nothing else happens', async () => {
    const verifier = trust(ed25519, nameless)
    const text = fc.oneof(fc.string(), fc.constantFrom('', 'e30', 'AAAA', encodeHeader({ alg: 'Ed25519' })))
    const signature = fc.record({ protected: text, signature: text, header: fc.anything() }, { requiredKeys: [] })
    const envelope = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc.json().map((json) => Buffer.from(json)),
      fc
        .record(
          { payload: fc.oneof(text, fc.anything()), protected: text, signature: text, signatures: fc.array(signature) },
          { requiredKeys: ['payload'] },
        )
        .map((value) => Buffer.from(stringify(value))),
    )
    await fc.assert(
      fc.asyncProperty(envelope, async (bytes) => {
        await expect(verifier.verify(bytes)).rejects.toHaveProperty('code', 'ERR_DYNACODE_SIGNATURE')
      }),
      tries(375),
    )
  })
})

/** JSON of a value that may hold what JSON has no words for. */
function stringify(value: unknown): string {
  try {
    return JSON.stringify(value, (_key, each) => (typeof each === 'bigint' ? Number(each) : each)) ?? ''
  } catch {
    return ''
  }
}

describe('rotation', () => {
  test('goes from one key to another with no document refused on the way', async () => {
    const [old, next] = [await createSigner('ES256', '2025'), await createSigner('EdDSA', '2026')]
    const [by_old, by_both, by_next] = [
      await old.sign(DOCUMENT),
      await signTogether(DOCUMENT, [old, next]),
      await next.sign(DOCUMENT),
    ]
    for (const envelope of [by_old, by_both]) expect((await openWith([old], envelope)).text).toBe(DOCUMENT)
    for (const envelope of [by_old, by_both, by_next])
      expect((await openWith([old, next], envelope)).text).toBe(DOCUMENT)
    for (const envelope of [by_both, by_next])
      expect(await openWith([next], envelope)).toEqual({ text: DOCUMENT, kid: '2026' })
    expect(await refusal([next], by_old)).toMatch('no trusted key has the kid "2025"')
  })

  test('works for keys without a name, too', async () => {
    const [old, next] = [await createSigner('EdDSA'), await createSigner('EdDSA')]
    expect((await openWith([old, next], await old.sign(DOCUMENT))).text).toBe(DOCUMENT)
    expect((await openWith([old, next], await next.sign(DOCUMENT))).text).toBe(DOCUMENT)
    expect(await refusal([next], await old.sign(DOCUMENT))).toMatch('does not fit')
  })
})

describe('freshness', () => {
  const NOW = Date.UTC(2026, 0, 1)
  const check = (
    document: { version?: unknown; expires?: number | undefined },
    known: { highest?: number; active_sha1_of_highest?: string; sha1?: string } = {},
  ) =>
    checkFreshness(
      { version: 7, expires: NOW + 1, ...document },
      { highest: undefined, active_sha1_of_highest: undefined, sha1: 'this', ...known },
      NOW,
    )
  const codeOf = (run: () => void) => {
    try {
      run()
    } catch (error) {
      return [(error as DynacodeError).code, (error as Error).message]
    }
    return undefined
  }

  test('lets pass what is first, newer, or the same as before', () => {
    expect(() => check({})).not.toThrow()
    expect(() => check({ version: 0 })).not.toThrow()
    expect(() => check({ version: Number.MAX_SAFE_INTEGER })).not.toThrow()
    expect(() => check({}, { highest: 6, active_sha1_of_highest: 'other' })).not.toThrow()
    expect(() => check({}, { highest: 7, active_sha1_of_highest: 'this' })).not.toThrow()
    expect(() => check({}, { highest: 7 })).not.toThrow()
  })

  test.each([[undefined], [null], [''], ['7'], [7.5], [-1], [Number.NaN], [Number.POSITIVE_INFINITY], [2 ** 53], [{}]])(
    'asks for a version that is a whole number, not %o',
    (version) => {
      expect(codeOf(() => check({ version }))).toEqual([
        'ERR_DYNACODE_VERSION',
        expect.stringMatching(/^general\.version: expected an integer of at least 0, got /),
      ])
    },
  )

  test('refuses a version below the highest that was accepted', () => {
    expect(codeOf(() => check({ version: 6 }, { highest: 7 }))).toEqual([
      'ERR_DYNACODE_VERSION',
      'general.version: expected at least 7, which was accepted before, got 6',
    ])
    expect(codeOf(() => check({ version: 0 }, { highest: 1, active_sha1_of_highest: 'this' }))).toBeDefined()
  })

  test('refuses the same version with another content, and says so', () => {
    expect(codeOf(() => check({}, { highest: 7, active_sha1_of_highest: 'other' }))).toEqual([
      'ERR_DYNACODE_VERSION',
      expect.stringContaining('7 was accepted before with another content'),
    ])
  })

  test.each([[undefined], [Number.NaN], [Number.POSITIVE_INFINITY]])('asks for an end, not %o', (expires) => {
    expect(codeOf(() => check({ expires }))).toEqual([
      'ERR_DYNACODE_EXPIRED',
      expect.stringContaining('general.expires: expected a date and time in ISO 8601'),
    ])
  })

  test.each([
    [NOW, '2026-01-01T00:00:00.000Z'],
    [NOW - 1, '2025-12-31T23:59:59.999Z'],
    [-1e300, '-1e+300'],
  ])('refuses what has ended: %d', (expires, shown) => {
    expect(codeOf(() => check({ expires }))).toEqual([
      'ERR_DYNACODE_EXPIRED',
      `general.expires: expected a time to come, got ${shown}`,
    ])
  })

  test('tells of an old version before it tells of its end', () => {
    expect(codeOf(() => check({ version: 6, expires: NOW - 1 }, { highest: 7 }))?.[0]).toBe('ERR_DYNACODE_VERSION')
  })
})

describe('an envelope without its keys, as a publisher reads it', () => {
  test('gives its document where one signature may be right', async () => {
    const envelope = await signTogether(DOCUMENT, [ed25519, p256])
    const { signatures, ...rest } = JSON.parse(envelope)
    const first_broken = JSON.stringify({ ...rest, signatures: [{ ...signatures[0], protected: '' }, signatures[1]] })
    for (const text of [envelope, first_broken]) {
      expect(Buffer.from(readUnverified(Buffer.from(text))).toString()).toBe(DOCUMENT)
    }
  })

  test.each([
    ['header is no JSON', { protected: base64url.encode('{') }],
    ['header is not base64url', { protected: '=' }],
    ['header has a member that is not understood', { protected: encodeHeader({ alg: 'EdDSA', crit: ['x'], x: 1 }) }],
    ['algorithm is not one of ours', { protected: encodeHeader({ alg: 'HS256' }) }],
    ['signature is too short', { signature: 'AA' }],
    ['signature is not base64url', { signature: '=' }],
  ])('is refused where its %s', async (_what, members) => {
    const envelope = change(await ed25519.sign(DOCUMENT), members)
    expect(() => readUnverified(Buffer.from(envelope))).toThrow(
      expect.objectContaining({ code: 'ERR_DYNACODE_SIGNATURE' }),
    )
  })
})
