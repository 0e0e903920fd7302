import { describe, expect, test } from 'vitest'
import { parseCode } from '../../../lib/background/compiling/parser.ts'
import { ParseFault } from '../../../lib/errors.ts'

function faultOf(code: string): ParseFault {
  try {
    parseCode(code)
  } catch (error) {
    if (error instanceof ParseFault) return error
    throw error
  }
  throw new Error(`the code was accepted: ${code}`)
}

describe('code that waits', () => {
  test.each([
    'await ready',
    'if (x) { await ready }',
    'const x = [await ready]',
    'for await (const part of parts) say(part)',
    'class A { [await name] = 1 }',
    'await using file = open()',
    'for (await using file of files) {}',
    'try { } finally { await done() }',
    'x\nawait y',
  ])('%j has to be asynchronous', (code) => {
    expect(parseCode(code).awaits).toBe(true)
  })

  test.each([
    'say("await")',
    '// await x',
    'const f = async () => { await x }',
    'async function f() { for await (const a of b) {} }',
    'const o = { async m() { await x } }',
    'class A { async m() { await x } }',
    'async function* f() { yield await x }',
    'const o = { await: 1 }; o.await',
    'for (const part of parts) say(part)',
    '',
  ])('%j does not', (code) => {
    expect(parseCode(code).awaits).toBe(false)
  })
})

describe('the names that code uses', () => {
  test.each([
    ['exit(403)', ['exit']],
    ['ctx.exit(403)', ['ctx']],
    ['ctx[exit]', ['ctx', 'exit']],
    ['const o = { exit }', ['o', 'exit']],
    ['const o = { exit: 1 }', ['o']],
    ['const o = { [exit]: 1 }', ['o', 'exit']],
    ['const { exit } = o', ['exit', 'o']],
    ['const { exit: e } = o', ['e', 'o']],
    ['class A { exit() { say(1) } }', ['A', 'say']],
    ['class A { exit = fetch }', ['A', 'fetch']],
    ['function f(signal) { return () => signal }', ['f', 'signal']],
    ['`\u0024{say}`', ['say']],
    ['ex\\u0069t(403)', ['exit']],
    ['a?.exit?.()', ['a']],
  ])('%s', (code, names) => {
    expect([...parseCode(code).names].sort()).toEqual([...names].sort())
  })
})

describe('faulty code is told with line and column', () => {
  test.each([
    [')', 1, 1],
    ['let let', 1, 5],
    ['ctx.body = = 1', 1, 12],
    ['a\n  let let', 2, 7],
    ['a\r\n  let let', 2, 7],
    ['a\r  let let', 2, 7],
    ['a\u2028  let let', 2, 7],
    ['/* a\nb */ let let', 2, 10],
    ['`a\nb`; let let', 2, 9],
    ['#!/usr/bin/env node', 1, 1],
    ['--> not a comment', 1, 3],
    ['import fs from "fs"', 1, 8],
    ['export default 1', 1, 1],
    ['with (ctx) {}', 1, 6],
    ['yield 1', 1, 1],
    ['/[/', 1, 1],
    ['"', 1, 1],
  ])('%j', (code, line, column) => {
    expect(faultOf(code)).toMatchObject({ line, column })
  })

  test.each([
    ['(', 1],
    ['a\nif (b) {', 2],
    ['a\r\n[', 2],
    ['a\r[', 2],
    ['f(a\n\n', 1],
    ['a }', 1],
  ])('%j ends with a brace too many or too few', (code, line) => {
    const fault = faultOf(code)
    expect(fault.message).toBe('the code ends with a bracket or brace too many or too few')
    expect(fault.line).toBe(line)
  })

  test.each([
    ['const a', 'Missing initializer in const declaration'],
    ['x\ntry {}', 'Missing catch or finally after try'],
    ['break', 'Illegal break statement'],
  ])('%j ends in what the parser says', (code, message) => {
    expect(faultOf(code)).toMatchObject({ message, line: code.split('\n').length })
  })
})

describe('code that closes what it did not open', () => {
  test.each([
    '}; evil(); {',
    '} evil(); {',
    '}}) ; evil(); (async function () { "use strict"; {',
    '}})\n;(async function () { "use strict"; {',
    '}}); (async function () { "use strict"; {',
    '} ; evil(); { //',
    '*/ } evil(); { /*',
    '}\nevil()\n{',
    '} { } {',
    '} if (1) {',
    '} else {',
    '} while (0); {',
    '} finally {',
    '} } { {',
    '}}, function () {{',
    '}}(), async function () {{',
    '}}[0], {a() {{',
    '}; }; { {',
    '<!-- }\n} evil(); {',
    '`}`} evil(); {`',
    '/}/ } evil(); {',
    '"}" } evil(); {',
    '\u2028} evil(); {',
    '\ufeff} evil(); {',
    '\\u007d evil(); {',
    '}) => {',
    '})(async function () {{',
  ])('%j is refused', (code) => {
    expect(() => parseCode(code)).toThrow(ParseFault)
  })

  test.each([
    '// }',
    '/* } */',
    '"}"',
    '`}`',
    '`\u0024{"}"}`',
    '`\u0024{`}`}`',
    '/}/.test(x)',
    '/[}]/.test(x)',
    'x = a / b; y = "}" / c',
    'x <!-- }',
    '\n--> }',
    '{ }',
    '{{{}}}',
    'if (x) { } else { }',
    '// }; evil(); {',
    'x = { "}": 1 }',
    '\ufeffsay(1)',
    'x // \u2028',
    '',
  ])('%j is not such code', (code) => {
    expect(() => parseCode(code)).not.toThrow()
  })
})
