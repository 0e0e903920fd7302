import fc from 'fast-check'
import ts from 'typescript'
import { describe, expect, test, vi } from 'vitest'
import { chunkName } from '../../../lib/background/compiling/compiled-text.ts'
import { createCompiler } from '../../../lib/background/compiling/compiler.ts'
import { rewriteStack } from '../../../lib/background/compiling/stack.ts'
import type { GuardMode } from '../../../lib/document.ts'
import { CompileError } from '../../../lib/errors.ts'
import { PARAMETERS, type PluginFunction } from '../../../lib/program.ts'
import { tries } from '../../fixtures/tries.ts'

const MODES: GuardMode[] = ['off', 'on']
/** A guard that stops nothing. */
const GUARD = {
  over: () => undefined,
  track: (_run: object, value: unknown) => value,
  room: () => undefined,
  give: (_run: object, value: unknown) => value,
  fail: (_run: object, reason: unknown) => reason,
  end: () => undefined,
  suspect: () => undefined,
  hold: (_run: object, value: unknown) => value,
  resume: (_run: object, value: unknown) => value,
  listen: (_run: object, value: unknown) => value,
}

const create = (globals: Record<string, unknown> = {}, compile_cache_max = 100) =>
  createCompiler({ compile_cache_max, globals })

function compile(code: string, guard: GuardMode = 'off', { name = 'p', globals = {} } = {}): PluginFunction {
  const { compiled } = create(globals).compile({ name, code, guard })
  return compiled.bind({ store: { kind: 'store' }, log: () => 'logged', guard: GUARD })
}

/** Runs the code as the request line does, with recognizable values for its parameters. */
function run(code: string, guard: GuardMode = 'off', details: { name?: string; globals?: object } = {}): unknown {
  const given = PARAMETERS.map((name) => `the ${name}`) as unknown as Parameters<PluginFunction>
  const [ctx, ...rest] = given as unknown[]
  const record = { n: 1e9, kit: {} }
  return Reflect.apply(compile(code, guard, details as never), undefined, [record, ctx, ...rest])
}

function refusal(code: string, name = 'p', guard: GuardMode = 'on'): CompileError {
  try {
    create().compile({ name, code, guard })
  } catch (error) {
    if (error instanceof CompileError) return error
    throw error
  }
  throw new Error(`the code was accepted: ${code}`)
}

describe.each(MODES)('with the guard %s, code', (guard) => {
  test.each([
    ['return 1 + 1', 2],
    ['return ctx + params', 'the ctxthe params'],
    [
      'return [exit, say, fetch, signal, chunk, last]',
      ['exit', 'say', 'fetch', 'signal', 'chunk', 'last'].map((n) => `the ${n}`),
    ],
    ['return store.kind', 'store'],
    ['return log()', 'logged'],
    ['return this', undefined],
    ['', undefined],
    ['return 1 // the end', 1],
    ['return 1 /* the end */', 1],
    ['return 1 <!-- the end', 1],
    ['return (() => 1)() //', 1],
    ['\ufeffreturn 1', 1],
    ['\n--> a comment\nreturn 1', 1],
    ['return "}" + `}`', '}}'],
    ['const x = { a: 1 }\r\nreturn x.a\r\n', 1],
    ['return "a\u2028b".length', 3],
    ['return 1 // \u2028 + 1', 2],
    ['"use strict"; return 1', 1],
    ['return await_()\nfunction await_() { return 1 }', 1],
    ['label: for (;;) { break label }\nreturn 1', 1],
    ['try { return 1 } finally { ctx }', 1],
    ['return new (class { #a = 1; get() { return this.#a } })().get()', 1],
    ['return [...(function* () { yield 1 })()]', [1]],
  ])('%j does what it says', (code, value) => {
    expect(run(code, guard)).toEqual(value)
  })

  test.each([...PARAMETERS, 'store', 'log'])('may call a name of its own %s', (name) => {
    expect(run(`const ${name} = 1; return ${name}`, guard)).toBe(1)
    expect(run(`let ${name}; ${name} = 1; return ${name}`, guard)).toBe(1)
    expect(run(`function ${name}() {} return typeof ${name}`, guard)).toBe('function')
    expect(run(`class ${name} {} return typeof ${name}`, guard)).toBe('function')
    expect(run(`return ((${name}) => ${name})(1)`, guard)).toBe(1)
    expect(run(`${name} = 1; return ${name}`, guard)).toBe(1)
  })

  test('is strict', () => {
    expect(() => run('undeclared = 1', guard)).toThrow(ReferenceError)
    expect(() => run('delete Object.prototype', guard)).toThrow(TypeError)
  })

  test('returns a promise only when it waits itself', async () => {
    expect(run('return 1', guard)).toBe(1)
    expect(run('const f = async () => { await 1 }; return 1', guard)).toBe(1)
    const promise = run('return (await 1) + 1', guard)
    expect(promise).toBeInstanceOf(Promise)
    expect(await promise).toBe(2)
    expect(await run('let sum = 0; for await (const x of [1, 2]) sum += x; return sum', guard)).toBe(3)
  })

  test('finds the app’s globals, and not those of another instance', () => {
    expect(run('return flags.beta', guard, { globals: { flags: { beta: true } } })).toBe(true)
    expect(run('return typeof flags', guard)).toBe('undefined')
    expect((globalThis as { flags?: unknown }).flags).toBeUndefined()
  })

  test('may shadow a global', () => {
    expect(run('const flags = 1; return flags', guard, { globals: { flags: 2 } })).toBe(1)
  })

  test.each([
    ['throw new Error("x")', 1, 7],
    ['ctx\n  throw new Error("x")', 2, 9],
    ['ctx\r\n  throw new Error("x")', 2, 9],
    ['ctx\r  throw new Error("x")', 2, 9],
    ['ctx\u2028  throw new Error("x")', 2, 9],
    ['for (const a of [1]) { f() }\nfunction f() { for (;;) throw new Error("x") }', 2, 31],
    ['const f = () => { throw new Error("x") }; f()', 1, 25],
    ['`\n\n`; throw new Error("x")', 3, 10],
  ])('%j shows its own line and column in the stack', (code, line, column) => {
    const name = 'limit (per ip):7\n'
    let error: Error | undefined
    try {
      run(code, guard, { name })
    } catch (thrown) {
      error = thrown as Error
    }
    rewriteStack({ spec: { name, code, guard } }, error)
    expect(error?.stack).toContain(`${chunkName(name)}:${line}:${column}`)
  })

  test('that waits shows its own line and column in the stack, too', async () => {
    const code = 'ctx; await 1; throw new Error("x")'
    const error = await (run(code, guard) as Promise<never>).catch((thrown) => thrown)
    rewriteStack({ spec: { name: 'p', code, guard } }, error)
    expect(error.stack).toContain('dynacode:plugin:p:1:21')
  })
})

describe('faulty code is refused', () => {
  test.each([
    ['let let', 1, 5, /strict mode reserved word/],
    ['ctx\n  )', 2, 3, /Unexpected token/],
    ['const a = 1\nconst a = 2', 2, undefined, /'a' has already been declared/],
    ['ctx.body =', 1, undefined, /bracket or brace too many or too few/],
    ['import fs from "fs"', 1, 8, /import/],
    ['x => { await 1 }', 1, 14, /./],
  ])('%j, with plugin, line and column', (code, line, column, message) => {
    const error = refusal(code, 'limit')
    expect(error).toMatchObject({ code: 'ERR_DYNACODE_COMPILE', plugin: 'limit', line, column })
    expect(error.message).toMatch(/^plugin "limit":\d+/)
    expect(error.message).toMatch(message)
  })

  test.each(['}; evil(); {', '} evil(); {', '}}; evil(); {{', '}}) evil(); (function () {{', '}}\n{{'])(
    '%j, which only fits between the braces around it',
    (code) => {
      for (const guard of MODES) expect(refusal(code, 'p', guard).plugin).toBe('p')
    },
  )

  test('where its nesting is too deep to parse', () => {
    expect(refusal(`${'('.repeat(50_000)}1${')'.repeat(50_000)}`).message).toMatch(/call stack/)
  })

  test('whatever the plugin is called', () => {
    for (const name of ['a:1:2', '\n', 'x\u2028y', ')', '(', '%s', '\0', 'é'.repeat(1024)]) {
      expect(refusal('let a; let a', name)).toMatchObject({ plugin: name, line: 1 })
    }
  })

  test.each([
    ['ngx.say("hi")', {}],
    ['local x = 1', {}],
    ['if x then\n  return\nend', {}],
  ])('%j with a hint for those who come from Lua', (code, globals) => {
    expect(() => create(globals).compile({ name: 'p', code, guard: 'on' })).toThrow(/looks like Lua for OpenResty/)
  })

  test('but not for using a global that happens to be called ngx', () => {
    const say = vi.fn()
    run('ngx.say("hi")', 'on', { globals: { ngx: { say } } })
    expect(say).toHaveBeenCalledWith('hi')
  })
})

describe('the cache', () => {
  test('knows code by its name and text', () => {
    const compiler = create()
    const compileFresh = (name: string, code: string, guard: GuardMode = 'on') =>
      compiler.compile({ name, code, guard }).fresh
    expect(compileFresh('a', 'return 1')).toBe(true)
    expect(compileFresh('a', 'return 1')).toBe(false)
    expect(compileFresh('b', 'return 1')).toBe(true)
    expect(compileFresh('a', 'return 2')).toBe(true)
    expect(compileFresh('a', 'return 1', 'off')).toBe(true)
    expect(compileFresh('a', 'return 1', 'strict')).toBe(false)
  })

  test('does not take two texts for one', () => {
    const compiler = create()
    const codes = ['"\ud800"', '"\ud801"', '"\ufffd"']
    const compiled = codes.map((code) => compiler.compile({ name: 'p', code: `return ${code}`, guard: 'off' }))
    expect(compiled.map(({ fresh }) => fresh)).toEqual([true, true, true])
    expect(new Set(compiled.map((each) => each.compiled.sha1)).size).toBe(3)
  })

  test('forgets what was used least recently', () => {
    const compiler = create({}, 2)
    const compileFresh = (code: string) => compiler.compile({ name: 'p', code, guard: 'off' }).fresh
    expect(['1', '2', '1', '3', '1', '2'].map(compileFresh)).toEqual([true, true, false, true, false, true])
  })

  test('does not remember what failed', () => {
    const compiler = create()
    const attempt = () => compiler.compile({ name: 'p', code: '(', guard: 'on' })
    expect(attempt).toThrow(CompileError)
    expect(attempt).toThrow(CompileError)
  })

  test('makes separate functions of one code', () => {
    const { compiled } = create().compile({ name: 'p', code: 'return store', guard: 'off' })
    const [a, b] = ['a', 'b'].map((store) => compiled.bind({ store: { store }, log: () => undefined, guard: GUARD }))
    const call = (each: unknown) => Reflect.apply(each as () => unknown, undefined, [{ n: 1 }])
    expect([call(a), call(b)]).toEqual([{ store: 'a' }, { store: 'b' }])
  })
})

test('only what the code uses is said to be used', () => {
  const usesOf = (code: string) => create().compile({ name: 'p', code, guard: 'off' }).compiled.uses
  expect(usesOf('ctx.body = 1')).toMatchObject({ exit: false, say: false, fetch: false, signal: false })
  expect(usesOf('exit(1); say(2)')).toMatchObject({ exit: true, say: true, fetch: false, signal: false })
  expect(usesOf('ctx.fetch(o.signal)')).toMatchObject({ fetch: false, signal: false })
  expect(usesOf('eval(x)')).toMatchObject({ exit: true, say: true, fetch: true, signal: true })
})

describe('whatever compiles', () => {
  // Pieces from which break-outs are made.
  const piece = fc.constantFrom(
    ...['{', '}', '(', ')', '[', ']', '`', '\u0024{', '"', "'", '/', '/*', '*/', '//', '\n', '\r', '\u2028', ';', ','],
    ...['evil()', 'function f()', 'async function ()', '() =>', 'class A', 'return', 'if (1)', 'else', 'try', 'catch'],
    ...[
      'finally',
      'do',
      'while (0)',
      '"use strict"',
      '<!--',
      '-->',
      '\\',
      'await 1',
      'x',
      ':',
      '#!',
      'new',
      '=',
      '...',
    ],
  )
  const broken = fc
    .array(piece, { maxLength: 14 })
    .chain((pieces) =>
      fc.constantFrom(pieces.join(''), pieces.join(' '), `} ${pieces.join(' ')} {`, `}} ${pieces.join('')}`),
    )

  /** The compiled function's own text, as V8 delimits it. */
  function textOf(code: string, guard: GuardMode): string | undefined {
    const evil = vi.fn()
    try {
      const text = compile(code, guard, { globals: { evil } } as never).toString()
      expect(evil).not.toHaveBeenCalled()
      return text
    } catch (error) {
      if (error instanceof CompileError) return undefined
      throw error
    }
  }

  test('is one function up to its last brace, as V8 sees it', () => {
    let compiled = 0
    fc.assert(
      fc.property(broken, (code) => {
        const text = textOf(code, 'off')
        if (text === undefined) return
        compiled += 1
        expect(text.endsWith(`{"use strict";{${code}\n}}`)).toBe(true)
        expect(textOf(code, 'on')?.endsWith('\n}}')).toBe(true)
      }),
      tries(375),
    )
    expect(compiled).toBeGreaterThan(25)
  })

  test('is one block inside that function, as another parser sees it', () => {
    let compiled = 0
    fc.assert(
      fc.property(broken, (code) => {
        // TypeScript does not know HTML's comments.
        if (/<!--|-->/.test(code)) return
        const text = textOf(code, 'on')
        if (text === undefined) return
        compiled += 1
        const { statements } = ts.createSourceFile('p.js', `(${text})`, ts.ScriptTarget.Latest, true, ts.ScriptKind.JS)
        const [statement] = statements
        expect(statements).toHaveLength(1)
        const { expression } = (statement as ts.ExpressionStatement).expression as ts.ParenthesizedExpression
        const body = (expression as ts.FunctionExpression).body.statements
        expect(body.at(-1)?.kind).toBe(ts.SyntaxKind.Block)
        expect(body.at(-1)?.end).toBe(text.length)
        expect(body.filter(({ kind }) => kind === ts.SyntaxKind.Block)).toHaveLength(1)
      }),
      tries(375),
    )
    expect(compiled).toBeGreaterThan(25)
  })
})

describe('code of plugins that live', () => {
  test('is at hand until as many have ended, however much else is compiled', () => {
    const compiler = create({}, 1)
    const compileOne = (code: string) => compiler.compile({ name: 'p', code, guard: 'on' })
    const first = compileOne('1')
    const key = { sha1: first.compiled.sha1, guard: 'on' } as const
    compiler.hold(key)
    compiler.hold(key)
    for (const code of ['2', '3', '4']) expect(compileOne(code).fresh).toBe(true)
    expect(compileOne('1')).toEqual({ compiled: first.compiled, fresh: false })
    compiler.release(key)
    compileOne('5')
    expect(compileOne('1').fresh).toBe(false)
    compiler.release(key)
    compileOne('6')
    expect(compileOne('1').fresh).toBe(true)
  })
})
