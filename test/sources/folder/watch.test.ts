import fs, { type FSWatcher, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import Koa from 'koa'
import supertest from 'supertest'
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import type { Source } from '../../../lib/sources/contract.ts'
import { folder_source } from '../../../lib/sources/folder/source.ts'
import { createReadyInstance, payloadsOf, record } from '../../fixtures/instance.ts'
import { documentOf, folderOf, makeFolder, turnLink, writeFiles } from '../../fixtures/plugin-folder.ts'

/** What node:fs.watch does in this test, and the watchers that it gave. */
const events = vi.hoisted(() => ({ fault: undefined as string | undefined, silent: false, open: new Set<FSWatcher>() }))

vi.mock('node:fs', async (importOriginal) => {
  const real = await importOriginal<typeof fs>()
  const watch = (path: string, options: object, listener: (...given: never[]) => void) => {
    if (events.fault !== undefined) throw Object.assign(new Error(events.fault), { code: events.fault })
    const watcher = real.watch(path, options, (events.silent ? () => undefined : listener) as () => void)
    events.open.add(watcher)
    watcher.on('close', () => events.open.delete(watcher))
    return watcher
  }
  return { ...real, watch }
})

const NEVER = new AbortController().signal
const stops = new Set<() => void>()

beforeEach(() => {
  Object.assign(events, { fault: undefined, silent: false })
})
afterEach(() => {
  for (const stop of stops) stop()
  stops.clear()
})

/** Watches the source, as it was fetched last; resolves when it is most likely on the watch. What changes before is found, too. */
async function startWatch(source: Source, fetch = true) {
  const fetched = () => textOf(source).catch(() => undefined)
  if (fetch) await fetched()
  const changed = vi.fn(fetched)
  const stop = source.watch?.(changed) as () => void
  stops.add(stop)
  await wait(150)
  return { changed, stop }
}

async function textOf(source: Source): Promise<string> {
  const fetched = await source.fetch(NEVER, undefined)
  return fetched.unchanged ? 'unchanged' : Buffer.from(fetched.bytes).toString()
}

const FILES = { 'dynacode.json': documentOf({ file: 'lib/a.js' }), 'lib/a.js': 'a' }

/** Has the folder looked at for events alone: the time never comes to look without one. */
function useEventsAlone(): void {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  onTestFinished(() => void vi.useRealTimers())
}

describe('a change is told', () => {
  const CHANGES: Record<string, (folder: string) => void> = {
    'when the document is written': (folder) => writeFiles(folder, { 'dynacode.json': '{}' }),
    'when a file in a folder of its own is written': (folder) => writeFiles(folder, { 'lib/a.js': 'b' }),
    'when a file is moved into place': (folder) => {
      writeFiles(folder, { 'lib/a.js~': 'b' })
      renameSync(join(folder, 'lib/a.js~'), join(folder, 'lib/a.js'))
    },
    'when a file is deleted': (folder) => rmSync(join(folder, 'lib/a.js')),
    'when the document is broken': (folder) => writeFiles(folder, { 'dynacode.json': '{' }),
    'when a folder inside takes the place of another': (folder) => {
      writeFiles(folder, { 'new/a.js': 'b' })
      renameSync(join(folder, 'lib'), join(folder, 'old'))
      renameSync(join(folder, 'new'), join(folder, 'lib'))
    },
    'when the folder takes the place of another': (folder) => {
      writeFiles(`${folder}/../${NEXT}`, { ...FILES, 'lib/a.js': 'b' })
      renameSync(folder, `${folder}.old`)
      renameSync(join(folder, '..', NEXT), folder)
    },
    'when the folder is removed': (folder) => rmSync(folder, { recursive: true }),
  }
  const NEXT = 'next'

  test.each(Object.entries(CHANGES))('%s', async (_when, change) => {
    useEventsAlone()
    const folder = join(makeFolder(), 'plugins')
    writeFiles(folder, FILES)
    const source = folder_source(folder)
    const before = await textOf(source)
    const { changed } = await startWatch(source)
    expect(changed).not.toHaveBeenCalled()
    change(folder)
    await expect.poll(() => changed.mock.calls.length).toBeGreaterThan(0)
    expect(await textOf(source).catch((error) => error.message)).not.toBe(before)
  })

  test('when a link to the folder is turned, or one that its path leads through', async () => {
    useEventsAlone()
    const site = folderOf({ 'r1/plugins/dynacode.json': '{"n":1}', 'r2/plugins/dynacode.json': '{"n":2}' })
    writeFiles(site, { 'r3/plugins/dynacode.json': '{"n":3}' })
    turnLink(join(site, 'release'), 'r1')
    symlinkSync(join('release', 'plugins'), join(site, 'live'))
    const [direct, through] = [folder_source(join(site, 'live')), folder_source(join(site, 'release', 'plugins'))]
    const watches = await Promise.all([startWatch(direct), startWatch(through)])
    turnLink(join(site, 'release'), 'r2')
    for (const { changed } of watches) await expect.poll(() => changed.mock.calls.length).toBe(1)
    turnLink(join(site, 'live'), 'r3/plugins')
    await expect.poll(() => watches[0].changed.mock.calls.length).toBe(2)
    expect([await textOf(direct), await textOf(through)]).toEqual(['{"n":3}', '{"n":2}'])
  })

  test('when a link inside the folder is turned, as Kubernetes does with a volume', async () => {
    useEventsAlone()
    const folder = folderOf({ '..1/dynacode.json': '{"n":1}', '..2/dynacode.json': '{"n":2}' })
    turnLink(join(folder, '..data'), '..1')
    symlinkSync(join('..data', 'dynacode.json'), join(folder, 'dynacode.json'))
    const source = folder_source(folder)
    const { changed } = await startWatch(source)
    turnLink(join(folder, '..data'), '..2')
    rmSync(join(folder, '..1'), { recursive: true })
    await expect.poll(() => changed.mock.calls.length).toBe(1)
    expect(await textOf(source)).toBe('{"n":2}')
  })

  test('when a folder is there that was not, and when it comes back', async () => {
    const folder = join(makeFolder(), 'above', 'plugins')
    const { changed } = await startWatch(folder_source(folder))
    for (const times of [1, 2]) {
      writeFiles(folder, FILES)
      await expect.poll(() => changed.mock.calls.length).toBe(times * 2 - 1)
      rmSync(folder, { recursive: true })
      await expect.poll(() => changed.mock.calls.length).toBe(times * 2)
    }
  })

  test('when it came between the fetch and the watch', async () => {
    useEventsAlone()
    const folder = folderOf(FILES)
    const source = folder_source(folder)
    await textOf(source)
    writeFiles(folder, { 'lib/a.js': 'b' })
    const { changed } = await startWatch(source, false)
    await expect.poll(() => changed.mock.calls.length).toBe(1)
  })

  test('once, though it takes many steps', async () => {
    useEventsAlone()
    const folder = folderOf(FILES)
    const { changed } = await startWatch(folder_source(folder))
    for (let n = 1; n <= 20; n += 1) writeFiles(folder, { 'lib/a.js': `b${n}` })
    await expect.poll(() => changed.mock.calls.length).toBe(1)
    await wait(300)
    expect(changed).toHaveBeenCalledTimes(1)
  })

  test('to every watch of the source', async () => {
    useEventsAlone()
    const folder = folderOf(FILES)
    const source = folder_source(folder)
    const watches = [await startWatch(source), await startWatch(source)]
    writeFiles(folder, { 'lib/a.js': 'b' })
    for (const { changed } of watches) await expect.poll(() => changed.mock.calls.length).toBeGreaterThan(0)
  })
})

describe('what is no change', () => {
  test('is not told: other files, the same content again, a look at the files', async () => {
    const folder = folderOf(FILES)
    const source = folder_source(folder)
    const before = await textOf(source)
    const { changed } = await startWatch(source)
    writeFiles(folder, { 'notes.txt': 'x', 'lib/.a.js.swp': 'x', 'lib/a.js': 'a' })
    rmSync(join(folder, 'notes.txt'))
    await wait(300)
    expect(await textOf(source)).toBe(before)
    expect(changed).not.toHaveBeenCalled()
  })
})

describe('without events', () => {
  test.each(['ENOSPC', 'EMFILE', 'ENOSYS'])('a change is found by looking, where fs.watch throws %s', async (code) => {
    const folder = folderOf(FILES)
    events.fault = code
    const { changed } = await startWatch(folder_source(folder))
    writeFiles(folder, { 'lib/a.js': 'b' })
    await expect.poll(() => changed.mock.calls.length).toBe(1)
    // Watches can be had again: the next look takes them.
    events.fault = undefined
    await expect.poll(() => events.open.size).toBeGreaterThan(0)
    await wait(100)
    writeFiles(folder, { 'lib/a.js': 'c' })
    await expect.poll(() => changed.mock.calls.length).toBe(2)
  })

  test('a change is found by looking, where fs.watch says nothing, and where it fails later', async () => {
    const folder = folderOf(FILES)
    events.silent = true
    const { changed } = await startWatch(folder_source(folder))
    writeFiles(folder, { 'lib/a.js': 'b' })
    await expect.poll(() => changed.mock.calls.length).toBe(1)
    for (const watcher of [...events.open]) watcher.emit('error', new Error('EIO'))
    await expect.poll(() => events.open.size, { interval: 5 }).toBe(0)
    writeFiles(folder, { 'dynacode.json': '{}' })
    await expect.poll(() => changed.mock.calls.length).toBe(2)
  })
})

describe('stop()', () => {
  test('frees every watch at once, and nothing is told any more, not even of a change under way', async () => {
    const folder = folderOf(FILES)
    const { changed, stop } = await startWatch(folder_source(folder))
    expect(events.open.size).toBeGreaterThan(1)
    writeFileSync(join(folder, 'lib/a.js'), 'b')
    await wait(20)
    stop()
    await expect.poll(() => events.open.size).toBe(0)
    writeFileSync(join(folder, 'lib/a.js'), 'c')
    await wait(1300)
    expect([events.open.size, changed.mock.calls.length]).toEqual([0, 0])
  })

  test('may come before anything was looked at', async () => {
    const changed = vi.fn()
    folder_source(folderOf(FILES)).watch?.(changed)()
    await wait(100)
    expect([events.open.size, changed.mock.calls.length]).toEqual([0, 0])
  })
})

describe('an app over a folder', () => {
  async function start(folder: string, options = {}) {
    const dyna = await createReadyInstance({ source: folder_source(folder), ...options })
    const app = new Koa().use(dyna)
    app.silent = true
    const ask = async () => (await supertest(app.callback()).get('/')).text
    return { dyna, ask, seen: record(dyna) }
  }

  test('serves what the folder has, and after a refresh what it has then', async () => {
    const folder = folderOf({ 'dynacode.json': documentOf({ file: 'a.js' }), 'a.js': `say('one')` })
    const { dyna, ask } = await start(folder)
    expect(await ask()).toBe('one\n')
    expect(await dyna.refresh()).toMatchObject({ updated: false, reason: 'unchanged' })
    writeFiles(folder, { 'a.js': `say('two')` })
    await dyna.refresh()
    expect(await ask()).toBe('two\n')
  })

  test('keeps a plugin whose file goes away, tells which file, and takes on the others', async () => {
    const folder = folderOf({
      'dynacode.json': documentOf({ file: 'a.js' }, { file: 'b.js' }),
      'a.js': `say('a')`,
      'b.js': `say('b')`,
    })
    const { dyna, ask, seen } = await start(folder)
    rmSync(join(folder, 'a.js'))
    writeFiles(folder, { 'b.js': `say('B')` })
    await dyna.refresh()
    expect(await ask()).toBe('a\nB\n')
    expect(payloadsOf(seen, 'bg_compile_error')[0]).toMatchObject({
      plugin: { name: 'p0' },
      kept_last_good: true,
      error: { message: 'domains[0].plugins[0].file: there is no file "a.js"' },
    })
  })

  test('keeps everything when the document is broken, and tells where', async () => {
    const folder = folderOf({ 'dynacode.json': documentOf({ code: `say('a')` }) })
    const { dyna, ask } = await start(folder)
    writeFiles(folder, { 'dynacode.json': '{\n]' })
    expect(await dyna.refresh()).toMatchObject({
      reason: 'fetch',
      error: { message: `${folder}/dynacode.json:2:1: expected a name in double quotes, got "]"` },
    })
    expect(await ask()).toBe('a\n')
  })

  test('has a saved file live without a poll', async () => {
    const folder = folderOf({ 'dynacode.json': documentOf({ file: 'a.js' }), 'a.js': `say(0)` })
    const { ask, seen } = await start(folder)
    for (let n = 1; n <= 3; n += 1) {
      writeFiles(folder, { 'a.js': `say(${n})` })
      await expect.poll(ask).toBe(`${n}\n`)
    }
    writeFiles(folder, { 'dynacode.json': '{' })
    await expect.poll(() => payloadsOf(seen, 'bg_fetch_api_generic_error').length).toBeGreaterThan(0)
    writeFiles(folder, { 'dynacode.json': documentOf({ code: `say('well')` }) })
    await expect.poll(ask).toBe('well\n')
  })
})
