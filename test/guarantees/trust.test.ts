import { FlattenedSign } from 'jose'
import { describe, expect, test } from 'vitest'
import { everywhere, plugin } from '../fixtures/app.ts'
import { createInstance, payloadsOf, record } from '../fixtures/instance.ts'
import { startPluginApi } from '../fixtures/plugin-api.ts'
import { createSigner, signTogether } from '../fixtures/signing.ts'

/** A document of this version, for the next hour. */
const documentOf = (version: number) => ({
  ...everywhere([plugin('content', `say('version ${version}')`)]),
  general: { version, expires: new Date(Date.now() + 3_600_000).toISOString() },
})

describe('G29 what no key of ours signed as it is', async () => {
  const [ours, second, stranger] = await Promise.all([
    createSigner('ES256', 'ours'),
    createSigner('EdDSA', 'second'),
    createSigner('ES256', 'ours'),
  ])
  const trusted_keys = { keys: [ours.public_key, second.public_key] }
  const next = documentOf(2)
  const envelope = await ours.sign(next)
  const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const change = (members: object) => JSON.stringify({ ...JSON.parse(envelope), ...members })
  const flip = (at: number) => {
    const bytes = Buffer.from(envelope)
    bytes[at] = (bytes[at] as number) ^ 1
    return bytes
  }
  const mac = async (secret: Buffer) =>
    JSON.stringify(
      await new FlattenedSign(Buffer.from(JSON.stringify(next)))
        .setProtectedHeader({ alg: 'HS256', kid: 'ours' })
        .sign(secret),
    )
  const inPayload = envelope.indexOf(JSON.parse(envelope).payload) + 40
  const inSignature = envelope.indexOf(JSON.parse(envelope).signature) + 40

  const FORGERIES: [string, unknown][] = [
    ['an unsigned document', next],
    ['an unsigned document that calls itself signed', { ...next, payload: '', signature: '' }],
    ["a stranger's signature under our key's name", await stranger.sign(next)],
    ["a stranger's signature with the stranger's key inside", await stranger.sign(next, { jwk: stranger.public_key })],
    ['a signature that names no key of ours', await ours.sign(next, { kid: 'other' })],
    ["one key's signature under the other's name", await second.sign(next, { kid: 'ours' })],
    ['the algorithm none', change({ protected: encode({ alg: 'none', kid: 'ours' }), signature: '' })],
    ['the algorithm none, and no key named', change({ protected: encode({ alg: 'none' }), signature: '' })],
    ['a MAC with the public key as its secret', await mac(Buffer.from(JSON.stringify(ours.public_key)))],
    ['a MAC with a part of the public key as its secret', await mac(Buffer.from(ours.public_key.x, 'base64url'))],
    ['a bit changed in the document', flip(inPayload)],
    ['a bit changed in the signature', flip(inSignature)],
    ['the signature of another document', change({ signature: JSON.parse(await ours.sign(documentOf(3))).signature })],
    ['another document under the signature', change({ payload: encode(documentOf(3)) })],
    ['two payloads', envelope.replace('{', `{"payload":"${encode(documentOf(3))}",`)],
  ]

  test.each(FORGERIES)('%s is refused, and what was live stays', async (_what, forged) => {
    const api = await startPluginApi()
    api.answer({ body: await ours.sign(documentOf(1)) })
    const dyna = createInstance({ plugin_api_uri: api.uri, trusted_keys })
    await dyna.refresh()
    const seen = record(dyna)
    api.answer({ body: forged })
    const error = expect.objectContaining({ code: 'ERR_DYNACODE_SIGNATURE' })
    expect(await dyna.refresh()).toMatchObject({ updated: false, reason: 'untrusted', error })
    expect(payloadsOf(seen, 'bg_didnt_update_plugins')).toEqual([
      expect.objectContaining({ reason: 'untrusted', error }),
    ])
    expect(dyna.status()).toMatchObject({ version: 1, last_error: { code: 'ERR_DYNACODE_SIGNATURE' } })

    api.answer({ body: envelope })
    expect(await dyna.refresh()).toMatchObject({ updated: true, version: 2 })
  })

  test.each(FORGERIES)('%s never goes live, even where nothing else is', async (_what, forged) => {
    const api = await startPluginApi()
    api.answer({ body: forged })
    const dyna = createInstance({ plugin_api_uri: api.uri, trusted_keys })
    expect(await dyna.refresh()).toMatchObject({ updated: false, reason: 'untrusted' })
    expect(dyna.status()).toMatchObject({ loaded: false, version: null })
  })
})

test('G33 keys rotate with no gap: the old one, both, the new one, and then the old one is worth nothing', async () => {
  const [old, next] = [await createSigner('ES256', '2025'), await createSigner('EdDSA', '2026')]
  const api = await startPluginApi()
  api.answer({ body: await old.sign(documentOf(1)) })
  const start = async (...signers: (typeof old)[]) => {
    const keys = signers.map(({ public_key }) => public_key)
    const dyna = createInstance({ plugin_api_uri: api.uri, trusted_keys: { keys } })
    await dyna.refresh()
    return dyna
  }

  const first = await start(old)
  const both = await start(old, next)
  expect([first.status().version, both.status().version]).toEqual([1, 1])

  // Signed by both while there are processes that know one key alone.
  api.answer({ body: await signTogether(documentOf(2), [old, next]) })
  const last = await start(next)
  for (const dyna of [first, both]) expect(await dyna.refresh()).toMatchObject({ updated: true, version: 2 })
  expect(last.status().version).toBe(2)

  api.answer({ body: await next.sign(documentOf(3)) })
  for (const dyna of [both, last]) expect(await dyna.refresh()).toMatchObject({ updated: true, version: 3 })
  expect(await first.refresh()).toMatchObject({ updated: false, reason: 'untrusted' })
  expect(first.status().version).toBe(2)

  api.answer({ body: await old.sign(documentOf(4)) })
  expect(await last.refresh()).toMatchObject({ updated: false, reason: 'untrusted' })
  expect(last.status().version).toBe(3)
})
