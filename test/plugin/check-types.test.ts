import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import ts from 'typescript'
import { describe, expect, test } from 'vitest'
import { PHASES } from '../../lib/document.ts'
import { checkTypes, type PluginSource } from '../../lib/plugin/check-types.ts'
import { describeParams } from '../../lib/plugin/params.ts'
import { readPages } from '../docs/pages.ts'

// All plugins of this file are checked at once: most of the time goes into loading Node's and Koa's types.
const plugins: PluginSource[] = []
const expected: [name: string, faults: string[]][] = []

/** Adds a plugin, and what is wrong with it: line:column and the beginning of the message. */
function add(name: string, plugin: Omit<PluginSource, 'name'>, ...faults: string[]): void {
  plugins.push({ name, ...plugin })
  expected.push([name, faults])
}

add(
  'a misspelt name',
  { phase: 'access', code: "\n  stroe.get('a')" },
  "2:3 Cannot find name 'stroe'. Did you mean 'store'?",
)
add('a misspelt member of ctx', { phase: 'access', code: 'ctx.boddy = 1' }, "1:5 Property 'boddy' does not exist")
add('a misspelt param', { phase: 'access', code: 'log(params.limt)', params: [{ limit: 5 }] }, "1:12 Property 'limt'")
add('a param of another type', { phase: 'access', code: 'params.limit.toUpperCase()', params: [{ limit: 5 }] }, '1:14 ')
add('a param that only some have', { phase: 'access', code: 'params.a.b', params: [{ a: { b: 1 } }, {}] }, '1:1 ')
add('a param that is known by its brackets', {
  phase: 'access',
  code: "log(params['more'] ?? 1)",
  params: [{ limit: 5 }],
})
add('params of which nothing is known', { phase: 'access', code: 'log(params.anything.at_all)' })
add('chunk outside of body_filter', { phase: 'content', code: 'say(chunk)' }, "1:5 Cannot find name 'chunk'")
add('exit in log', { phase: 'log', code: 'exit(403)' }, "1:1 Cannot find name 'exit'")
add('say in body_filter', { phase: 'body_filter', code: "say('a')" }, "1:1 Cannot find name 'say'")
add('a chunk taken for text', { phase: 'body_filter', code: 'return chunk.toUpperCase()' }, '1:14 ')
add('a chunk of either kind', { phase: 'body_filter', code: 'if (last) return\nreturn String(chunk).toUpperCase()' })
add('a status that is none', { phase: 'access', code: "exit('403')" }, '1:6 Argument of type')
add('return and await at the top', { phase: 'access', code: "const a = await fetch('http://a')\nif (a.ok) return" })
add('what exit() leaves', { phase: 'access', code: 'const { a } = ctx.query\nif (!a) exit(401)\nlog(a.length)' })
add('a name that is in scope, declared anew', { phase: 'access', code: 'const exit = 1\nlog(exit)' })
add('the usual JavaScript', {
  phase: 'access',
  code: `const seen = {}
    seen.more = 1
    function each(item) { return item.name }
    try { each(store.get('a')) } catch (error) { log(error.message) }
    ctx.state.anything = Buffer.from('a')
    const url = new URL(ctx.href)
    setTimeout(() => console.log(url, process.pid), 1).unref()
    if (!ctx.has('x-a') && !ctx.response.has('x-b')) ctx.cookies.set('a', 'b')
    if (store.incr('a') > 5) ctx.throw(429)`,
})
add('names of the app', { phase: 'access', code: 'if (flags.new) said.length' })
add(
  'TypeScript',
  {
    phase: 'access',
    typescript: true,
    params: [{ limit: 5 }],
    code: 'const limit: string = params.limit\nlog(limit as unknown)',
  },
  "1:7 Type 'number' is not assignable to type 'string'",
)
add('an enum', { phase: 'access', typescript: true, code: 'enum A { B }' }, '1:6 This syntax is not allowed')
add(
  'JavaScript with types',
  { phase: 'access', code: 'let a: string' },
  '1:8 Type annotations can only be used in TypeScript',
)
add('a brace too few', { phase: 'access', code: 'if (ctx) {\n  log()\n' }, "2:8 '}' expected")
add('the same name at the top of two plugins', { phase: 'access', code: 'const mine = 1' })
add('the same name again', { phase: 'access', code: 'const mine = 2' })

describe('checkTypes', () => {
  const folder = mkdtempSync(join(tmpdir(), 'plugin-types-'))
  const declarations = join(folder, 'app.d.ts')
  writeFileSync(declarations, 'declare var said: string\n')
  const blocks = readPages()
    .flatMap((page) => page.blocks)
    .filter(({ lang, marks }) => lang === 'js' && marks.has('plugin'))
  const documented = blocks.map(({ place, text, marks }) => ({
    name: place,
    phase: marks.get('plugin') as PluginSource['phase'],
    code: text,
    params: [JSON.parse(/^\/\/ params: (.*)$/m.exec(text)?.[1] ?? '{}')],
  }))
  const known = { globals: ['flags'], declarations: [declarations] }
  const faults = checkTypes(ts, [...plugins, ...documented], known)
  rmSync(folder, { recursive: true })

  test.each(expected)('on %s', (name, wanted) => {
    const found = faults.filter(({ plugin }) => plugin === name)
    const said = found.map(({ line, column, message }) => `${line}:${column} ${message}`)
    expect(said).toHaveLength(wanted.length)
    for (const [index, beginning] of wanted.entries()) expect(said[index]).toContain(beginning)
  })

  test('finds nothing in the plugins of the documentation', () => {
    expect(blocks.length).toBeGreaterThan(10)
    const places = new Set(blocks.map(({ place }) => place))
    const found = faults.filter(({ plugin }) => places.has(plugin))
    expect(found.map(({ plugin, line, message }) => `${plugin} ${line} ${message}`)).toEqual([])
  })
})

describe('params', () => {
  test.each([
    [[], 'Readonly<Record<string, any>>'],
    [[{}], 'Readonly<Record<string, any>>'],
    [[{ a: 1, 'b c': 'x' }], '{ readonly "a": number; readonly "b c": string }'],
    [[{ a: 1 }, { a: 'x' }], '{ readonly "a": number | string }'],
    [[{ a: 1 }, {}], '{ readonly "a"?: number }'],
    [[{ a: [1, 'x', null] }], '{ readonly "a": readonly (number | string | null)[] }'],
    [[{ a: [], b: null }], '{ readonly "a": readonly (any)[]; readonly "b": any }'],
    [
      [{ a: { b: true } }, { a: { b: true, c: 1 } }],
      '{ readonly "a": { readonly "b": boolean; readonly "c"?: number } }',
    ],
  ])('%j are described', (params, type) => {
    expect(describeParams(params)).toBe(type)
  })
})

describe('the names of a phase in an editor', () => {
  const LIB = join(import.meta.dirname, '..', '..', 'lib')
  const NAMES: Record<string, string> = { log: '', body_filter: 'exit chunk last' }

  const SETTINGS: ts.CompilerOptions = {
    types: [],
    lib: ['lib.es2023.d.ts'],
    strict: true,
    noEmit: true,
    module: ts.ModuleKind.NodeNext,
    allowImportingTsExtensions: true,
  }
  const host = ts.createCompilerHost(SETTINGS)
  let before: ts.Program | undefined

  test.each(PHASES)('%s', (phase) => {
    const path = join(LIB, 'plugin', 'phases', `${phase.replace('_', '-')}.d.ts`)
    // What the phases share is read and parsed once.
    before = ts.createProgram([path], SETTINGS, host, before)
    const program = before
    const checker = program.getTypeChecker()
    const file = program.getSourceFile(path) as ts.SourceFile
    expect(program.getSemanticDiagnostics(file)).toEqual([])
    const inScope = new Set(checker.getSymbolsInScope(file, ts.SymbolFlags.Value).map(({ name }) => name))
    const ours = ['ctx', 'params', 'store', 'log', 'signal', 'fetch', 'exit', 'say', 'chunk', 'last']
    const found = ours.filter((name) => inScope.has(name))
    const more = (NAMES[phase] ?? 'exit say').split(' ').filter(Boolean)
    expect(found.sort()).toEqual(['ctx', 'params', 'store', 'log', 'signal', 'fetch', ...more].sort())
  })
})
