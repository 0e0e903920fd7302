import { describe, expect, test } from 'vitest'
import { stripTypes } from '../../../lib/sources/folder/strip-types.ts'

describe('types', () => {
  test.each([
    ['const limit: number = params.limit as number', 'const limit         = params.limit          '],
    ['interface A { b: 1 }\nreturn await f<A>()', '                    \nreturn await f   ()'],
    ["declare const flags: { on: true }\r\nsay(flags!.on satisfies true ? 'on' : 'off')", undefined],
    ["let a: 'ä😀' = b // é", 'let a        = b // é'],
  ])('of %j become blanks', async (code, stripped) => {
    const found = await stripTypes(code)
    expect(found).toHaveLength(code.length)
    if (stripped !== undefined) expect(found).toBe(stripped)
    expect(found).not.toMatch(/declare|satisfies|!\.|interface|ä/)
    expect(found.match(/\r?\n/g)).toEqual(code.match(/\r?\n/g))
  })

  test('leave every other character where it is', async () => {
    const code = "const grüße: string = '😀'; if (grüße) return say(grüße as string, x)"
    const found = await stripTypes(code)
    for (const word of ["'😀'", 'if (', 'return', ', x)']) expect(found.indexOf(word)).toBe(code.indexOf(word))
  })

  test('are not looked for in JavaScript, which stays as it is', async () => {
    const code = 'const { a, b = 1 } = params\nlabel: for (;;) break label\nreturn a < b && b > (a)'
    expect(await stripTypes(code)).toBe(code)
  })
})

describe('what is more than types', () => {
  test.each([
    ['a()\nenum A { B }', 2, 1, /^TypeScript enum is more than a type, and cannot be stripped$/],
    ['enum A { B }', 1, 1, /enum/],
    ['\n  enum A {\n    B,\n  }', 2, undefined, /enum/],
    ['\tenum A { B }', 1, undefined, /enum/],
    ['namespace A { export const b = 1 }', 1, 1, /namespace/],
    ['class A { constructor(private b: number) {} }', 1, 31, /parameter property/],
    ['a = <string>b', 1, 5, /`expr as T`/],
    ["import x from 'y'", 1, 1, /import/],
  ])('is refused with its place: %j', async (code, line, column, message) => {
    await expect(stripTypes(code)).rejects.toMatchObject({ line, column, message: expect.stringMatching(message) })
  })

  test.each([['a('], ['const a = {'], ['a()\nb(\n']])('is refused where %j ends', async (code) => {
    const fault = await stripTypes(code).catch((error) => error)
    expect(fault.message).toMatch(/^the code ends too early|^Unexpected|^Expect/)
    expect(fault.line).toBeLessThanOrEqual(code.split('\n').length)
  })
})
