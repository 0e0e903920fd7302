import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { makeFolder } from '../../fixtures/folder.ts'
import { createInstance } from '../../fixtures/instance.ts'
import { createSigner } from '../../fixtures/signing.ts'

const plugins = [{ name: 'p', phase: 'log', code: '' }]
const documentOf = (version: number) => ({
  general: { version, expires: new Date(Date.now() + 3_600_000).toISOString() },
  domains: [{ name: '*', plugins }],
})

test.each([0, 1, 2, 5])('close() %i turns into a signed start: nothing is live after it', async (turns) => {
  const signer = await createSigner('ES256')
  const dyna = createInstance({
    source: { fetch: () => new Promise(() => undefined) },
    trusted_keys: { keys: [signer.public_key] },
    cache_path: join(makeFolder(), 'cache'),
    bootstrap: documentOf(1),
    logger: false,
  })
  for (let turn = 0; turn < turns; turn += 1) await undefined
  const before = dyna.status().loaded
  await dyna.close()
  await sleep(20)
  expect(dyna.status().loaded).toBe(before)
})

test('what the source brings during a signed start is not made live twice, nor replaced by what is on the disk', async () => {
  const signer = await createSigner('ES256')
  const trusted_keys = { keys: [signer.public_key] }
  const cache_path = join(makeFolder(), 'cache')
  const signed = Buffer.from(await signer.sign(documentOf(1)))
  const options = {
    source: { fetch: async () => ({ bytes: signed, tag: '"1"' }) },
    trusted_keys,
    cache_path,
    plugin_api_poll_at_init: false,
    logger: false,
  } as const
  const first = createInstance(options)
  await first.refresh()
  await first.close()
  const updates: unknown[] = []
  const dyna = createInstance({ ...options, bootstrap: documentOf(9), on_update: ({ from }) => updates.push(from) })
  expect(await dyna.refresh()).toMatchObject({ reason: expect.anything() })
  await sleep(50)
  expect(updates).toHaveLength(1)
  expect(dyna.status()).toMatchObject({ version: 1, stale: false })
})

test('the cache stays where it was when the app goes to another folder', async () => {
  const [here, there] = [makeFolder(), makeFolder()]
  const before = process.cwd()
  try {
    process.chdir(here)
    const fetch = async () => ({ bytes: Buffer.from('{"domains":[]}'), tag: '"1"' })
    const dyna = createInstance({
      source: { fetch },
      cache_path: 'cache',
      plugin_api_poll_at_init: false,
      logger: false,
    })
    process.chdir(there)
    await dyna.refresh()
    await dyna.close()
  } finally {
    process.chdir(before)
  }
  expect(() => writeFileSync(join(here, 'cache'), '', { flag: 'wx' })).toThrow('EEXIST')
  expect(() => writeFileSync(join(there, 'cache'), '', { flag: 'wx' })).not.toThrow()
})
