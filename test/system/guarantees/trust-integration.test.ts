import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { everywhere } from '../../fixtures/app.ts'
import { startPluginApi } from '../../fixtures/plugin-api.ts'
import { bundle, makeFolder, startAppProcess } from '../../fixtures/processes.ts'
import { createSigner } from '../../fixtures/signing.ts'

const HOUR = 3_600_000
const signer = await createSigner('ES256', 'ours')
const trusted_keys = { keys: [signer.public_key] }

const inTime = (ms: number) => new Date(Date.now() + ms).toISOString()
const mark = (text: string) => everywhere([{ name: 'mark', phase: 'rewrite', code: `ctx.set('X-Mark', '${text}')` }])
/** A signed document that marks requests with its version, or with what is given. */
const signed = (version: number, { expires = inTime(HOUR), text = `${version}` } = {}) =>
  signer.sign({ ...mark(text), general: { version, expires } })

describe('G30', () => {
  test('G30 it is refused after kill -9, right after the newer one went live', async () => {
    const cache_path = join(makeFolder(), 'cache')
    const script = await bundle(new URL('../../fixtures/serving-process.ts', import.meta.url))
    const api = await startPluginApi()
    api.answer({ body: await signed(5) })
    const options = { plugin_api_uri: api.uri, plugin_api_polling_interval: 600, cache_path, trusted_keys }
    const first = await startAppProcess(script, options)
    await expect.poll(async () => (await first.status()).version).toBe(5)
    await first.kill()
    api.answer({ body: await signed(4) })
    const second = await startAppProcess(script, options)
    expect(await second.refresh()).toMatchObject({ updated: false, reason: 'untrusted' })
    expect(await second.status()).toMatchObject({ version: 5, from: 'cache' })
    expect((await fetch(second.uri)).headers.get('x-mark')).toBe('5')
  })
})
