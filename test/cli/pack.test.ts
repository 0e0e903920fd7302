import { chmodSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { callCommand, callJson } from '../fixtures/command-line.ts'
import { makeFolder, writeFiles } from '../fixtures/plugin-folder.ts'
import { createSigner } from '../fixtures/signing.ts'
import { tries } from '../fixtures/tries.ts'

const text = fc.oneof(fc.string({ maxLength: 12 }), fc.string({ unit: 'binary', maxLength: 12 }))
const name = fc.oneof(
  fc.constantFrom('a', 'A', 'a b', 'con', 'ab', '🙂', '../x', 'dynacode'),
  fc.string({ minLength: 1, maxLength: 80 }),
)
const more = fc.record(
  { params: fc.dictionary(fc.string(), fc.jsonValue()), note: fc.jsonValue() },
  { requiredKeys: [] },
)
const code = fc.oneof(text, fc.constantFrom('\ufeffsay(1)', '\ud800', "say('ä')\r\n", ''))
const variants = fc.uniqueArray(fc.record({ name, percent: fc.constant(10), code }), {
  minLength: 1,
  maxLength: 3,
  selector: (variant) => variant.name,
})
const plugin = fc
  .tuple(
    fc.record({ name, phase: fc.constant('content') }),
    fc.oneof(fc.record({ code }), fc.record({ variants })),
    more,
  )
  .chain((parts) =>
    fc.shuffledSubarray(Object.entries(Object.assign({}, ...parts)), {
      minLength: Object.keys(Object.assign({}, ...parts)).length,
    }),
  )
  .map((entries) => Object.fromEntries(entries))
const plugins = fc.uniqueArray(plugin, { maxLength: 5, selector: (each) => each.name })
const documents = fc.record(
  {
    general: more,
    domains: fc.uniqueArray(fc.record({ name, plugins }), { maxLength: 3, selector: (each) => each.name }),
  },
  { requiredKeys: ['domains'] },
)

describe('unpack and pack', () => {
  test('give the very document back, in the same order', async () => {
    let packed_back = 0
    await fc.assert(
      fc.asyncProperty(documents, async (document) => {
        const folder = makeFolder()
        const written = JSON.stringify(document)
        writeFiles(folder, { 'a.json': written })
        const unpacked = await callCommand('unpack', join(folder, 'a.json'), join(folder, 'out'))
        // A name of a host or plugin that is none is refused before anything is written.
        if (unpacked.exit_code !== 0) return expect(readdirSync(folder)).toEqual(['a.json'])
        const { output, exit_code } = await callCommand('pack', join(folder, 'out'))
        // What dynacode refuses of a plugin, it refuses as well before it was unpacked.
        if (exit_code === 1) return
        packed_back += 1
        expect(output).toBe(written)
      }),
      tries(50),
    )
    expect(packed_back).toBeGreaterThan(20)
  })

  test('write files by the names of the plugins, and code that is there twice once', async () => {
    const folder = makeFolder()
    const plugins = [
      { name: 'Hello World', phase: 'content', code: 'say(1)' },
      { name: 'hello-world', phase: 'log', code: 'log(2)' },
      { name: 'hello world', phase: 'access', code: 'say(1)' },
      { name: 'ab', phase: 'log', variants: [{ name: 'B', percent: 1, code: 'log(3)' }] },
    ]
    writeFiles(folder, { 'a.json': { domains: [{ name: '*', plugins }] } })
    const out = join(folder, 'deep', 'out')
    const { files } = await callJson('unpack', join(folder, 'a.json'), out)
    expect(files).toEqual(['dynacode.json', 'hello-world.js', 'hello-world-2.js', 'ab-b.js'])
    expect(readFileSync(join(out, 'hello-world-2.js'), 'utf8')).toBe('log(2)')
    expect(JSON.parse(readFileSync(join(out, 'dynacode.json'), 'utf8')).domains[0].plugins[3]).toEqual({
      name: 'ab',
      phase: 'log',
      variants: [{ name: 'B', percent: 1, file: 'ab-b.js' }],
    })
  })

  test('keep a field __proto__ from changing anything', async () => {
    const folder = makeFolder()
    const written =
      '{"domains":[{"name":"a.com","plugins":[{"name":"x","__proto__":{"y":1},"phase":"log","code":"log(1)"}]}]}'
    writeFiles(folder, { 'a.json': written })
    await callCommand('unpack', join(folder, 'a.json'), join(folder, 'out'))
    expect((await callCommand('pack', join(folder, 'out'))).output).toBe(written)
  })
})

describe('dynacode pack', () => {
  test('takes the types off TypeScript, and writes into a file', async () => {
    const folder = makeFolder()
    const plugins = [{ name: 'a', file: 'a.ts', phase: 'log' }]
    writeFiles(folder, {
      'dynacode.json': { domains: [{ name: '*', plugins }] },
      'a.ts': 'const n: number = 1; log(n)',
    })
    const out = join(folder, 'out.json')
    const { exit_code, output } = await callCommand('pack', folder, '-o', out)
    expect({ exit_code, output }).toEqual({ exit_code: 0, output: `${out}: ${readFileSync(out).length} bytes` })
    const [packed] = JSON.parse(readFileSync(out, 'utf8')).domains[0].plugins
    expect(Object.entries(packed)).toEqual([
      ['name', 'a'],
      ['code', 'const n         = 1; log(n)'],
      ['phase', 'log'],
    ])
  })

  test('fails when a file is missing, with 1 and its place', async () => {
    const folder = makeFolder()
    writeFiles(folder, {
      'dynacode.json': { domains: [{ name: '*', plugins: [{ name: 'a', file: 'a.js', phase: 'log' }] }] },
    })
    const { exit_code, errors, output } = await callCommand('pack', folder)
    expect({ exit_code, output }).toEqual({ exit_code: 1, output: '' })
    expect(errors).toBe(`error: ${folder}: domains[0].plugins[0].file: there is no file "a.js"`)
  })

  test('fails with 2 for what is no folder, no JSON or no document', async () => {
    const folder = makeFolder()
    writeFiles(folder, { 'a.json': { domains: [] }, 'b/dynacode.json': 'x', 'c/dynacode.json': { domain: [] } })
    expect(await callCommand('pack', join(folder, 'a.json'))).toMatchObject({ exit_code: 2, output: '' })
    for (const [name, message] of [
      ['b', 'b/dynacode.json:1:1: expected a value, got "x"'],
      ['c', 'domain: unknown field. Did you mean `domains`?'],
    ]) {
      const { exit_code, errors } = await callCommand('pack', join(folder, name as string))
      expect(exit_code).toBe(2)
      expect(errors).toContain(message)
    }
  })

  test('makes no folder that nobody asked for', async () => {
    const folder = makeFolder()
    writeFiles(folder, { 'in/dynacode.json': { domains: [] } })
    const { exit_code, errors } = await callCommand('pack', join(folder, 'in'), '-o', join(folder, 'out', 'a.json'))
    expect({ exit_code, errors }).toEqual({
      exit_code: 2,
      errors: `error: ${join(folder, 'out', 'a.json')}: no such folder: ${join(folder, 'out')}`,
    })
    expect(readdirSync(folder)).toEqual(['in'])
  })

  test('fails with 1 for a domain that is refused, too', async () => {
    const folder = makeFolder()
    writeFiles(folder, { 'dynacode.json': { domains: [{ name: '(', plugins: [] }] } })
    expect(await callCommand('pack', folder)).toMatchObject({
      exit_code: 1,
      errors: expect.stringContaining('domains[0].name'),
    })
  })

  test.skipIf(process.getuid?.() === 0)('fails with 2 where it may not write', async () => {
    const folder = makeFolder()
    writeFiles(folder, { 'in/dynacode.json': { domains: [] } })
    mkdirSync(join(folder, 'out'))
    chmodSync(join(folder, 'out'), 0o500)
    const { exit_code, errors } = await callCommand('pack', join(folder, 'in'), '-o', join(folder, 'out', 'a.json'))
    expect({ exit_code, errors }).toEqual({ exit_code: 2, errors: expect.stringMatching(/no permission to write/) })
  })

  test('fails with 2 where a folder is in the way', async () => {
    const folder = makeFolder()
    writeFiles(folder, { 'in/dynacode.json': { domains: [] } })
    const { exit_code, errors } = await callCommand('pack', join(folder, 'in'), '-o', folder)
    expect({ exit_code, errors }).toEqual({ exit_code: 2, errors: `error: ${folder}: expected a file, got a folder` })
  })
})

describe('dynacode unpack', () => {
  test('opens what is signed', async () => {
    const folder = makeFolder()
    writeFiles(folder, { 'a.json': await (await createSigner()).sign({ domains: [] }) })
    expect(await callJson('unpack', join(folder, 'a.json'), join(folder, 'out'))).toMatchObject({
      files: ['dynacode.json'],
    })
  })

  test('writes nothing into a folder that has files', async () => {
    const folder = makeFolder()
    writeFiles(folder, { 'a.json': { domains: [] } })
    const { exit_code, errors } = await callCommand('unpack', join(folder, 'a.json'), folder)
    expect({ exit_code, errors }).toEqual({
      exit_code: 2,
      errors: `error: ${folder}: expected a new or empty folder, got one with files in it`,
    })
  })

  test('refuses what is no document, and a plugin with a field of the name file', async () => {
    const folder = makeFolder()
    const plugins = [{ name: 'x', phase: 'log', code: '', file: 'a' }]
    writeFiles(folder, { 'a.json': '[', 'b.json': { domains: [{ name: '*', plugins }] } })
    const broken = await callCommand('unpack', join(folder, 'a.json'), join(folder, 'out'))
    expect(broken).toMatchObject({ exit_code: 2, errors: expect.stringMatching(/a\.json: the document is not JSON/) })
    const named = await callCommand('unpack', join(folder, 'b.json'), join(folder, 'out'))
    expect(named).toMatchObject({ exit_code: 2, errors: expect.stringMatching(/"x" has a field "file"/) })
    expect(readdirSync(folder)).toEqual(['a.json', 'b.json'])
  })
})
