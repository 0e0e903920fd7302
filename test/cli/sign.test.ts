import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { callCommand, callJson } from '../fixtures/command-line.ts'
import { createReadyInstance } from '../fixtures/instance.ts'
import { startPluginApi } from '../fixtures/plugin-api.ts'
import { makeFolder, writeFiles } from '../fixtures/plugin-folder.ts'

const DOCUMENT = { domains: [{ name: '*', plugins: [{ name: 'a', phase: 'content', code: "say('hi')" }] }] }
const SOON = ['--document-version', '7', '--expires', '30d']

/** A folder with keys, and a document. */
async function start(alg = 'EdDSA'): Promise<{ at: (name: string) => string; key: string[]; keys: string[] }> {
  const folder = makeFolder()
  const at = (name: string) => join(folder, name)
  await callCommand('keygen', at('keys'), '--alg', alg)
  writeFiles(folder, { 'a.json': DOCUMENT })
  return { at, key: ['--key', at('keys/private.json')], keys: ['--keys', at('keys/trusted-keys.json')] }
}

describe('keygen, sign and verify', () => {
  test.each(['EdDSA', 'ES256'])('make a document with %s that dynacode trusts', async (alg) => {
    const { at, key, keys } = await start(alg)
    const signed = await callJson('sign', at('a.json'), ...key, ...SOON, '-o', at('signed.json'))
    expect(signed).toMatchObject({ file: at('signed.json'), version: 7 })
    const kid = new Date().toISOString().slice(0, 10)
    expect(await callJson('verify', at('signed.json'), ...keys)).toEqual({ kid, version: 7, expires: signed.expires })

    const api = await startPluginApi()
    api.behave((_, response) => void response.end(readFileSync(at('signed.json'))))
    const trusted_keys = JSON.parse(readFileSync(at('keys/trusted-keys.json'), 'utf8'))
    const dyna = await createReadyInstance({ plugin_api_uri: api.uri, trusted_keys })
    expect(dyna.status()).toMatchObject({ version: 7, plugins: [{ name: 'a', state: 'live' }] })
  })

  test('sign the document that a folder makes up', async () => {
    const { at, key } = await start()
    const general = { version: 1, expires: '2099-01-01T00:00:00Z' }
    const plugins = [{ name: 'a', phase: 'content', file: 'a.js' }]
    writeFiles(at('.'), { 'b/dynacode.json': { general, domains: [{ name: '*', plugins }] }, 'b/a.js': "say('hi')" })
    const { output, exit_code } = await callCommand('sign', at('b'), ...key)
    expect(exit_code).toBe(0)
    const document = JSON.parse(Buffer.from(JSON.parse(output).payload, 'base64url').toString())
    expect(document).toEqual({ general, ...DOCUMENT })
  })

  test('keep the private key to its owner, and overwrite none', async () => {
    const { at } = await start()
    if (process.platform !== 'win32') expect(statSync(at('keys/private.json')).mode & 0o077).toBe(0)
    const before = readFileSync(at('keys/private.json'), 'utf8')
    const again = await callCommand('keygen', at('keys'))
    expect(again).toMatchObject({
      exit_code: 2,
      errors: `error: ${at('keys')}/private.json: file already exists`,
    })
    expect(readFileSync(at('keys/private.json'), 'utf8')).toBe(before)
    expect(readFileSync(at('keys/trusted-keys.json'), 'utf8')).not.toContain('"d"')
  })
})

describe('verify ends with 1', () => {
  test.each([
    ['signed by another key', 'trusted-keys of others', /no trusted key has the kid|does not fit/],
    ['not signed', 'a.json', /the document is not signed/],
    ['past its end', 'old.json', /general\.expires: expected a time to come/],
    ['changed', 'changed.json', /does not fit the document and the key/],
  ])('when the document is %s', async (_, name, message) => {
    const { at, key, keys } = await start()
    const { output } = await callCommand('sign', at('a.json'), ...key, ...SOON)
    const other = await start()
    const changed = JSON.stringify({
      ...JSON.parse(output),
      payload: Buffer.from('{"domains":[]}').toString('base64url'),
    })
    writeFiles(at('.'), { 'signed.json': output, 'changed.json': changed })
    const { createSigner } = await import('../fixtures/signing.ts')
    const signer = await createSigner()
    const old = { general: { version: 1, expires: '2020-01-01T00:00:00Z' }, domains: [] }
    writeFiles(at('.'), { 'old.json': await signer.sign(old), 'old-keys.json': { keys: [signer.public_key] } })
    const by: Record<string, string[]> = {
      'trusted-keys of others': [at('signed.json'), ...other.keys],
      'old.json': [at('old.json'), '--keys', at('old-keys.json')],
    }
    const { exit_code, errors } = await callCommand('verify', ...(by[name] ?? [at(name), ...keys]))
    expect({ exit_code, errors }).toEqual({ exit_code: 1, errors: expect.stringMatching(message) })
  })
})

describe('bad input', () => {
  test('without version and end there is nothing to sign: 1', async () => {
    const { at, key } = await start()
    const { exit_code, errors, output } = await callCommand('sign', at('a.json'), ...key)
    expect({ exit_code, output }).toEqual({ exit_code: 1, output: '' })
    expect(errors).toMatch(/general\.version: .* \(see --document-version and --expires\)$/)
  })

  test.each([
    [['sign', 'a.json', '--key', 'none.json'], /none\.json: no such file/],
    [['sign', 'a.json', '--key', 'keys/trusted-keys.json'], /expected a private key, got a set of keys/],
    [['sign', 'a.json', '--key', 'public.json'], /expected a private key, got a public one/],
    [['sign', 'a.json', '--key', 'secret.txt'], /secret\.txt: not valid JSON$/],
    [['sign', 'a.json', '--key', 'weak.json', ...SOON], /weak\.json: cannot sign with this key/],
    [['sign', 'none.json', '--key', 'keys/private.json'], /none\.json: no such file/],
    [
      ['sign', 'a.json', '--key', 'keys/private.json', '--document-version', 'x'],
      /--document-version: expected a whole/,
    ],
    [['sign', 'a.json', '--key', 'keys/private.json', '--expires', 'soon'], /--expires: expected a time/],
    [['verify', 'a.json', '--keys', 'keys/private.json'], /private\.json: keys: expected/],
    [['verify', 'a.json', '--keys', 'both.json'], /both\.json: keys\[0\]: expected a public key/],
  ])('%j: 2, and nothing secret is shown', async (words, message) => {
    const { at } = await start()
    const key = JSON.parse(readFileSync(at('keys/private.json'), 'utf8'))
    const { d, ...public_key } = key
    writeFiles(at('.'), {
      'public.json': public_key,
      'both.json': { keys: [key] },
      'secret.txt': `secret ${d}`,
      'weak.json': { kty: 'OKP', crv: 'Ed25519', alg: 'none', d, x: key.x },
    })
    const files = words.map((word) => (/\.(json|txt)$/.test(word) ? at(word) : word))
    const { exit_code, errors, output } = await callCommand(...files, '--debug')
    expect({ exit_code, output }).toEqual({ exit_code: 2, output: '' })
    const [first = ''] = errors.split('\n')
    expect(first).toMatch(message)
    expect(errors).not.toContain(d)
  })
})
