import fs from 'node:fs'
import { join } from 'node:path'
import { beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import type { Source } from '../../../lib/index.ts'
import { everywhere, plugin, serveBehind } from '../../fixtures/app.ts'
import { makeFolder } from '../../fixtures/folder.ts'
import { createInstance } from '../../fixtures/instance.ts'
import { createSigner } from '../../fixtures/signing.ts'

const END = '2100-01-01T00:00:00Z'
const numbered = (version: number) => ({
  general: { version, expires: END },
  ...everywhere([plugin('rewrite', `ctx.set('X-Version', '${version}')`)]),
})

/** What the disk has begun to take, and finishes when it is told to. */
let waiting: (() => void)[]
let isSlow: boolean

beforeEach(() => {
  const { fsync } = fs
  waiting = []
  isSlow = false
  vi.spyOn(fs, 'fsync').mockImplementation(((fd: number, done: (error: Error | null) => void) => {
    const go = () => fsync(fd, done)
    if (isSlow) waiting.push(go)
    else go()
  }) as typeof fs.fsync)
})

function recover(): void {
  isSlow = false
  for (const go of waiting.splice(0)) go()
}

async function start(encode: (version: number) => string | Promise<string>, options: object = {}) {
  let version = 1
  let notice = () => {}
  const source: Source = {
    async fetch(_signal, last) {
      const tag = String(version)
      return last === tag ? { unchanged: true } : { bytes: Buffer.from(await encode(version)), tag }
    },
    watch(changed) {
      notice = changed
      return () => undefined
    },
  }
  const dyna = createInstance({ source, cache_path: join(makeFolder(), 'cache'), ...options })
  await dyna.ready()
  await dyna.refresh()
  // Sooner than it is closed, which waits for what the disk has begun.
  onTestFinished(recover)
  const request = await serveBehind(dyna)
  function publish() {
    version += 1
    notice()
  }
  return { dyna, publish, get: async () => (await request.get('/')).headers['x-version'] }
}

describe('a disk that takes nothing for as long as it likes', () => {
  const encode = (version: number) => JSON.stringify(numbered(version))

  test('holds up no update, however many come', async () => {
    const { publish, get } = await start(encode)
    isSlow = true
    for (const version of ['2', '3', '4']) {
      publish()
      await expect.poll(get).toBe(version)
    }
    // What is live is written after that.
    await expect.poll(() => waiting.length).toBe(1)
  })

  test('has nobody be stale who has the current document, and tells of it when it is fresh', async () => {
    const { dyna, publish } = await start(encode, { max_stale_seconds: 0.3, when_stale: 'closed' })
    const seen: boolean[] = []
    dyna.events.on('bg_updated_plugins', () => seen.push(dyna.status().stale))
    await expect.poll(() => dyna.status().stale).toBe(true)
    isSlow = true
    publish()
    await expect.poll(() => seen.length).toBe(1)
    expect(seen).toEqual([false])
    await expect.poll(() => dyna.status().stale).toBe(true)
    // That it is current goes to the disk, too.
    void dyna.refresh()
    await expect.poll(() => dyna.status().stale, { interval: 5 }).toBe(false)
  })

  test('has what is signed wait, so that no older version is taken after it; what was live goes on', async () => {
    const signer = await createSigner()
    const { publish, get } = await start((version) => signer.sign(numbered(version)), {
      trusted_keys: { keys: [signer.public_key] },
    })
    isSlow = true
    publish()
    await expect.poll(() => waiting.length).toBe(1)
    expect(await get()).toBe('1')
    recover()
    await expect.poll(get).toBe('2')
  })
})
