import { once } from 'node:events'
import { chmodSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { readDocument } from '../../../lib/background/reading/validator.ts'
import type { Source } from '../../../lib/sources/contract.ts'
import { folder_source } from '../../../lib/sources/folder/source.ts'
import { checkSource } from '../../../lib/testing/index.ts'
import { documentOf, folderOf, makeFolder, turnLink, writeFiles } from '../../fixtures/plugin-folder.ts'

const NEVER = new AbortController().signal
const ENVELOPE = '{ "payload": "e30",\n  "protected": "e30", "signature": "AA" }\n'

async function bytesOf(source: Source): Promise<Buffer> {
  const fetched = await source.fetch(NEVER, undefined)
  if (fetched.unchanged) throw new Error('it said unchanged')
  return Buffer.from(fetched.bytes)
}

const textOf = async (folder: string) => (await bytesOf(folder_source(folder))).toString()
const parsed = async (folder: string) => JSON.parse(await textOf(folder))

/** What the plugins of the folder are refused for. */
async function faultsOf(folder: string): Promise<string[]> {
  const { domains } = readDocument(await textOf(folder))
  return domains.flatMap((domain) =>
    'error' in domain ? [] : domain.plugins.flatMap((each) => ('error' in each ? [each.error.message] : [])),
  )
}

async function refusal(folder: string, options = {}): Promise<{ code?: string; message?: string }> {
  return folder_source(folder, options)
    .fetch(NEVER, undefined)
    .then(
      () => ({}),
      (error) => error,
    )
}

describe('the document', () => {
  test('has the code of TypeScript without its types, each character in its place', async () => {
    const folder = folderOf({
      'dynacode.json': documentOf({ file: 'a.ts' }, { file: 'b.mts' }, { code: 'const c: number = 1' }),
      'a.ts': '\uFEFFconst a: number = 1\nreturn a',
      'b.mts': 'type B = 1',
    })
    expect(await parsed(folder)).toEqual(
      documentOf({ code: 'const a         = 1\nreturn a' }, { code: '          ' }, { code: 'const c: number = 1' }),
    )
  })

  test('has the code of TypeScript as it was saved last', async () => {
    const folder = folderOf({ 'dynacode.json': documentOf({ file: 'a.ts' }), 'a.ts': 'let a: 1' })
    const source = folder_source(folder)
    await bytesOf(source)
    writeFiles(folder, { 'a.ts': 'let b: 1' })
    expect(JSON.parse((await bytesOf(source)).toString())).toEqual(documentOf({ code: 'let b   ' }))
  })

  test('refuses a plugin alone whose TypeScript is more than types, and says where', async () => {
    const folder = folderOf({
      'dynacode.json': documentOf({ file: 'sub/a.ts' }, { code: '' }),
      'sub/a.ts': 'const a = 1\nenum A { B }',
    })
    expect(await faultsOf(folder)).toEqual([
      'domains[0].plugins[0].file: sub/a.ts:2:1: TypeScript enum is more than a type, and cannot be stripped',
    ])
  })

  test('has the code of files where they are named, in plugins and variants of domains and shared ones', async () => {
    const variants = [
      { name: 'a', percent: 50, file: 'lib/a.js' },
      { name: 'b', percent: 50, code: 'b' },
    ]
    const folder = folderOf({
      'dynacode.json': {
        ...documentOf({ file: 'one.js', params: { x: 1 } }, { variants }, { code: 'inline' }, 7),
        plugins: [{ id: 7, name: 'shared', phase: 'log', file: './lib/../one.js' }],
        other: { file: 'not.js' },
      },
      'one.js': '\uFEFFsay("é")\n',
      'lib/a.js': '// a',
    })
    expect(await parsed(folder)).toEqual({
      ...documentOf(
        { params: { x: 1 }, code: 'say("é")\n' },
        {
          variants: [
            { name: 'a', percent: 50, code: '// a' },
            { name: 'b', percent: 50, code: 'b' },
          ],
        },
        { code: 'inline' },
        7,
      ),
      plugins: [{ id: 7, name: 'shared', phase: 'log', code: 'say("é")\n' }],
      other: { file: 'not.js' },
    })
    expect(await faultsOf(folder)).toEqual([])
  })

  test.each([
    ['names no file', `{ "domains" :\n[] , "n": 12345678901234567890 }\n`],
    ['is signed', ENVELOPE],
    ['is no object', '[1, 2]'],
  ])('comes byte for byte when it %s', async (_what, text) => {
    expect(await textOf(folderOf({ 'dynacode.json': text }))).toBe(text)
  })

  test('keeps keys that could change a prototype for the validator to judge', async () => {
    const text = `{"domains":[],"plugins":[{"__proto__":{"file":"no.js"},"name":"p","file":"a.js"}]}`
    const read = await textOf(folderOf({ 'dynacode.json': text, 'a.js': 'x' }))
    expect(read).toBe('{"domains":[],"plugins":[{"__proto__":{"file":"no.js"},"name":"p","code":"x"}]}')
  })

  test('is unchanged for whoever has it, and has a tag that depends on nothing else', async () => {
    const files = { 'dynacode.json': documentOf({ file: 'a.js' }), 'a.js': 'a' }
    const [folder, twin] = [folderOf(files), folderOf(files)]
    const source = folder_source(folder)
    const first = await source.fetch(NEVER, undefined)
    if (first.unchanged) throw new Error('it said unchanged')
    expect(await source.fetch(NEVER, first.tag)).toEqual({ unchanged: true })
    expect(await source.fetch(NEVER, 'other')).toEqual(first)
    expect(await folder_source(twin).fetch(NEVER, first.tag)).toEqual({ unchanged: true })
    writeFiles(folder, { 'a.js': 'b' })
    expect(await source.fetch(NEVER, first.tag)).toMatchObject({ tag: expect.not.stringMatching(first.tag as string) })
  })

  test('may come through symbolic links inside the folder, as Kubernetes mounts have them', async () => {
    const folder = folderOf({ '..v1/dynacode.json': documentOf({ file: 'a.js' }), '..v1/a.js': 'a' })
    turnLink(join(folder, '..data'), '..v1')
    for (const name of ['dynacode.json', 'a.js']) symlinkSync(join('..data', name), join(folder, name))
    expect(await parsed(folder)).toEqual(documentOf({ code: 'a' }))
  })

  test('is that of the same folder wherever the process goes', async () => {
    const folder = folderOf({ 'sub/dynacode.json': '{}' })
    const before = process.cwd()
    try {
      process.chdir(folder)
      const source = folder_source('sub')
      process.chdir(before)
      expect((await bytesOf(source)).toString()).toBe('{}')
    } finally {
      process.chdir(before)
    }
  })
})

describe('a fault of one file', () => {
  test.each([
    ['is not there', 'gone.js', 'there is no file "gone.js"'],
    ['is a folder', 'sub', 'expected a file, got "sub", which is none'],
    ['is a file with a folder behind it', 'a.js/b.js', 'the file "a.js/b.js" cannot be read: ENOTDIR'],
    ['is a link to itself', 'loop.js', 'the file "loop.js" cannot be read: ELOOP'],
    ['is not UTF-8', 'latin.js', 'the file "latin.js" is not UTF-8'],
    ['is a socket', 'socket', 'the file "socket" cannot be read: ENXIO'],
    ['leads out', 'out.js', 'expected a file inside the folder, got "out.js", which leads out of it'],
    ['leads out by a folder', 'up/x.js', 'expected a file inside the folder, got "up/x.js", which leads out of it'],
    ['is above', '../x.js', 'expected a file inside the folder, got "../x.js"'],
    ['is above by a detour', 'sub/../../x.js', 'expected a file inside the folder, got "sub/../../x.js"'],
    ['is absolute', '/etc/hostname', 'expected a file inside the folder, got "/etc/hostname"'],
    ['is absolute on Windows', 'C:\\x.js', 'expected a file inside the folder, got "C:\\\\x.js"'],
    ['has a zero in it', 'a\0.js', 'expected a file inside the folder, got "a\\u0000.js"'],
    ['is empty', '', 'expected the name of a file, got ""'],
    ['is a number', 5, 'expected the name of a file, got 5'],
    ['is an object', { path: 'x' }, 'expected the name of a file, got an object'],
  ])('that %s refuses its plugin alone', async (_what, file, message) => {
    const outside = folderOf({ 'x.js': 'secret' })
    const folder = folderOf({ 'a.js': 'a', 'sub/b.js': 'b', 'latin.js': Buffer.from([0xe9]) })
    const server = createServer().listen(join(folder, 'socket'))
    await once(server, 'listening')
    symlinkSync(join(outside, 'x.js'), join(folder, 'out.js'))
    symlinkSync(outside, join(folder, 'up'))
    symlinkSync('loop.js', join(folder, 'loop.js'))
    writeFiles(folder, { 'dynacode.json': documentOf({ file: 'a.js' }, { file }, { file: 'sub/b.js' }) })
    expect(await faultsOf(folder)).toEqual([`domains[0].plugins[1].file: ${message}`])
    expect(await textOf(folder)).not.toContain('secret')
    server.close()
  })

  test.skipIf(process.getuid?.() === 0)('that may not be read refuses its plugin alone', async () => {
    const folder = folderOf({ 'dynacode.json': documentOf({ file: 'a.js' }), 'a.js': 'a' })
    chmodSync(join(folder, 'a.js'), 0)
    expect(await faultsOf(folder)).toEqual(['domains[0].plugins[0].file: the file "a.js" cannot be read: EACCES'])
  })

  test('beside code refuses its plugin alone', async () => {
    const folder = folderOf({ 'dynacode.json': documentOf({ file: 'a.js', code: 'b' }, { code: 'c' }), 'a.js': 'a' })
    expect(await faultsOf(folder)).toEqual(['domains[0].plugins[0].file: expected either code or file, got both'])
  })

  test('of a variant, or of a shared plugin, says where it is named', async () => {
    const variants = [
      { name: 'a', percent: 1, code: '' },
      { name: 'b', percent: 1, file: 'b.js' },
    ]
    const folder = folderOf({
      'dynacode.json': {
        ...documentOf({ variants }, 1),
        plugins: [{ id: 1, name: 's', phase: 'log', file: 's.js' }],
      },
    })
    expect(await faultsOf(folder)).toEqual([
      'domains[0].plugins[0].variants[1].file: there is no file "b.js"',
      'plugins[0].file: there is no file "s.js"',
    ])
  })

  test('never makes a plugin with an id a reference to another', async () => {
    const folder = folderOf({
      'dynacode.json': {
        ...documentOf({ id: 1, file: 'gone.js' }),
        plugins: [{ id: 1, name: 'other', phase: 'content', code: '' }],
      },
    })
    expect(await faultsOf(folder)).toEqual(['domains[0].plugins[0].file: there is no file "gone.js"'])
  })
})

describe('a fault of the folder rejects, and says where', () => {
  const FETCH = 'ERR_DYNACODE_FETCH'

  test('when there is none', async () => {
    const folder = join(makeFolder(), 'gone')
    expect(await refusal(folder)).toMatchObject({ code: FETCH, message: `${folder}: there is no such folder` })
  })

  test('when it is a file', async () => {
    const folder = join(folderOf({ file: '' }), 'file')
    expect(await refusal(folder)).toMatchObject({ code: FETCH, message: expect.stringContaining('"dynacode.json"') })
  })

  test.each([
    ['is missing', undefined, ': there is no file "dynacode.json"'],
    ['is empty', '', '/dynacode.json:1:1: expected a value, got the end'],
    ['is broken', '{\n  "domains": [],\n}', '/dynacode.json:3:1: expected a name in double quotes, got "}"'],
    ['is not UTF-8', Buffer.from([0xff]), '/dynacode.json is not UTF-8'],
  ])('when dynacode.json %s', async (_what, content, message) => {
    const folder = folderOf(content === undefined ? {} : { 'dynacode.json': content })
    expect(await refusal(folder)).toMatchObject({ name: 'DynacodeError', code: FETCH, message: folder + message })
  })

  test('when dynacode.json leads out of it', async () => {
    const folder = makeFolder()
    symlinkSync(join(folderOf({ 'dynacode.json': '{}' }), 'dynacode.json'), join(folder, 'dynacode.json'))
    expect(await refusal(folder)).toMatchObject({ code: FETCH, message: expect.stringContaining('leads out of it') })
  })

  test('when its files are too many bytes together', async () => {
    const document = documentOf({ file: 'a.js' }, { file: 'b.js' })
    const folder = folderOf({ 'dynacode.json': document, 'a.js': 'a'.repeat(400), 'b.js': 'b'.repeat(400) })
    const max_bytes = JSON.stringify(document).length + 800
    expect(await refusal(folder, { max_bytes })).toEqual({})
    expect(await refusal(folder, { max_bytes: max_bytes - 1 })).toMatchObject({
      code: 'ERR_DYNACODE_FETCH_TOO_LARGE',
      message: expect.stringMatching(/\.js: the files have more than \d+ bytes together \(max_bytes\)$/),
    })
  })

  test('and is over when the fault is', async () => {
    const folder = join(makeFolder(), 'later')
    const source = folder_source(folder)
    await expect(source.fetch(NEVER, undefined)).rejects.toThrow('no such folder')
    writeFiles(folder, { 'dynacode.json': '{}' })
    expect((await bytesOf(source)).toString()).toBe('{}')
  })
})

describe('the arguments', () => {
  test.each([
    [['', undefined], 'path: expected a string that is not empty, got a string'],
    [[5, undefined], 'path: expected a string, got 5'],
    [['a', { max_bytes: 0 }], 'options.max_bytes: expected a number above 0, got 0'],
    [['a', { max_byte: 1 }], 'options.max_byte: is not known'],
  ])('%j are refused', (given, message) => {
    const make = folder_source as (...given: unknown[]) => Source
    const whole = `folder_source(path, options): option ${message}`
    expect(() => make(...given)).toThrow(expect.objectContaining({ code: 'ERR_DYNACODE_OPTION', message: whole }))
  })
})

describe('the signal', () => {
  test('ends a fetch that has not begun, and one of a folder that never stands still', async () => {
    const folder = folderOf({ 'dynacode.json': '{}' })
    await expect(folder_source(folder).fetch(AbortSignal.abort(), undefined)).rejects.toThrow('abort')
    // In every turn of the event loop, so that there is none in which nothing changes, on a busy machine either.
    let over = false
    async function write() {
      for (let n = 0; !over; n += 1) {
        writeFiles(folder, { 'dynacode.json': { n } })
        await new Promise((done) => setImmediate(done))
      }
    }
    const writing = write()
    await expect(folder_source(folder).fetch(AbortSignal.timeout(300), undefined)).rejects.toThrow()
    over = true
    await writing
  })
})

describe('a source that can be relied on', () => {
  const setup = () => {
    const site = makeFolder()
    const folder = join(site, 'plugins')
    writeFiles(folder, { 'a.js': '' })
    const write = (document: Uint8Array) => {
      writeFiles(folder, { 'dynacode.json.new': document })
      renameSync(join(folder, 'dynacode.json.new'), join(folder, 'dynacode.json'))
    }
    return {
      source: folder_source(folder),
      publish: write,
      clear: () => rmSync(join(folder, 'dynacode.json')),
      break: () => renameSync(folder, join(site, 'away')),
      mend: () => renameSync(join(site, 'away'), folder),
    }
  }
  for (const { name, run } of checkSource(setup)) {
    test(name, async () => expect([undefined, expect.stringContaining('stall')]).toContainEqual(await run()))
  }
})

/** The ways in which editors and tools save a file. All but the last few are seen half done by whoever reads meanwhile. */
const SAVES: Record<string, (path: string, text: string) => void | Promise<void>> = {
  'in place': (path, text) => writeFileSync(path, text),
  async 'in two parts'(path, text) {
    writeFileSync(path, text.slice(0, text.length / 2))
    await new Promise((done) => setImmediate(done))
    writeFileSync(path, text.slice(text.length / 2), { flag: 'a' })
  },
  async 'emptied first'(path, text) {
    writeFileSync(path, '')
    await new Promise((done) => setImmediate(done))
    writeFileSync(path, text)
  },
  'deleted first'(path, text) {
    unlinkSync(path)
    writeFileSync(path, text)
  },
  'as vim, backup moved away'(path, text) {
    renameSync(path, `${path}~`)
    writeFileSync(path, text)
    unlinkSync(`${path}~`)
  },
  'as emacs, a lock beside'(path, text) {
    symlinkSync('me@here.1', `${path}.lock`)
    writeFileSync(path, text)
    unlinkSync(`${path}.lock`)
  },
  'moved into place'(path, text) {
    writeFileSync(`${path}.tmp`, text)
    renameSync(`${path}.tmp`, path)
  },
}

/**
 * Fetches again and again while something is changed, so many times and until four documents came; gives back every one
 * that came. Fails with what a fetch fails with, unless that is allowed.
 */
async function fetchDuring(
  source: Source,
  times: number,
  change: (n: number) => void | Promise<void>,
  isAllowed: (error: Error) => boolean = () => false,
): Promise<string[]> {
  const came = new Set<string>()
  let over = false
  async function changeAll() {
    for (let n = 1; n <= times || came.size < 4; n += 1) {
      await change(n)
      // Now and then it stands still for long enough to be read, on a busy machine in the end as well.
      await wait(random(4) === 0 ? 130 + n : random(30))
    }
  }
  const done = changeAll().finally(() => {
    over = true
  })
  while (!over) {
    const bytes = await bytesOf(source).catch((error) => (isAllowed(error) ? undefined : Promise.reject(error)))
    if (bytes !== undefined) came.add(bytes.toString())
  }
  await done
  return [...came]
}

const random = (below: number) => Math.floor(Math.random() * below)

describe('while files are rewritten', () => {
  test('every file is one that was written as a whole', async () => {
    const PADDING = '/* padding */'.repeat(5000)
    const code = (n: number) => `say(${n})${PADDING}// ${n} is whole`
    const manifest = (n: number) =>
      JSON.stringify(documentOf({ file: 'a.js', params: { n, padding: PADDING } }), null, 1)
    const folder = folderOf({ 'dynacode.json': manifest(0), 'a.js': code(0) })
    const names = Object.keys(SAVES)
    const change = (n: number) => {
      const save = SAVES[names[n % names.length] as string] as (typeof SAVES)[string]
      return random(2) === 0 ? save(join(folder, 'a.js'), code(n)) : save(join(folder, 'dynacode.json'), manifest(n))
    }
    // A file that is deleted before it is written is missing if that happens at both of two looks, with the rest as it was.
    const isMissing = ({ message }: Error) => /there is no file/.test(message)

    const texts = await fetchDuring(folder_source(folder), 50, change, isMissing)
    for (const text of texts) {
      const [plugin] = JSON.parse(text).domains[0].plugins
      const n = /^say\((\d+)\)/.exec(plugin.code ?? '')?.[1]
      expect(plugin.code === code(Number(n))).toBe(true)
      expect(text).toBe(
        JSON.stringify(documentOf({ params: { n: plugin.params.n, padding: PADDING }, code: plugin.code })),
      )
    }
  })

  /** A version of a folder with many files that must not be mixed with those of another. */
  const FILES = Array.from({ length: 12 }, (_, index) => `f${index}.js`)
  const release = (n: number) => ({
    'dynacode.json': documentOf(...FILES.map((file) => ({ file, params: { n } }))),
    ...Object.fromEntries(FILES.map((file) => [file, `${n}`])),
  })
  const versionsOf = (text: string) =>
    new Set(
      JSON.parse(text).domains[0].plugins.flatMap((each: { code?: string; params: { n: number } }) => [
        each.code ?? 'none',
        `${each.params.n}`,
      ]),
    )

  test('folders that a link is turned to are never mixed, though the old ones are deleted', async () => {
    const site = makeFolder()
    const deploy = (n: number) => {
      writeFiles(join(site, `r${n}`), release(n))
      turnLink(join(site, 'current'), `r${n}`)
      rmSync(join(site, `r${n - 1}`), { recursive: true, force: true })
    }
    deploy(0)

    const texts = await fetchDuring(folder_source(join(site, 'current')), 30, deploy)
    expect(texts.map((text) => [...versionsOf(text)])).toEqual(texts.map(() => [expect.stringMatching(/^\d+$/)]))
  })

  test('a fault is none while each version that has it is gone by the next look', async () => {
    const site = makeFolder()
    const link = join(site, 'current')
    const deploy = (n: number, files: Record<string, unknown>) => {
      writeFiles(join(site, `r${n}`), files)
      turnLink(link, `r${n}`)
      rmSync(join(site, `r${n - 1}`), { recursive: true, force: true })
    }
    const broken = { 'a.js': '' }
    deploy(0, broken)
    const fetching = bytesOf(folder_source(link))
    for (let n = 1; n < 100; n += 1) {
      deploy(n, broken)
      await wait(1)
    }
    deploy(100, release(100))
    expect([...versionsOf((await fetching).toString())]).toEqual(['100'])
  })

  test('files that a link inside the folder is turned to are never mixed', async () => {
    const folder = makeFolder()
    const deploy = (n: number) => {
      writeFiles(join(folder, `..r${n}`), release(n))
      turnLink(join(folder, '..data'), `..r${n}`)
      rmSync(join(folder, `..r${n - 1}`), { recursive: true, force: true })
    }
    deploy(0)
    for (const name of Object.keys(release(0))) symlinkSync(join('..data', name), join(folder, name))

    const texts = await fetchDuring(folder_source(folder), 30, deploy)
    expect(texts.map((text) => [...versionsOf(text)])).toEqual(texts.map(() => [expect.stringMatching(/^\d+$/)]))
  })
})
