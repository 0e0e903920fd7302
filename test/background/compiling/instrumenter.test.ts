import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { compileFunction } from 'node:vm'
import fc from 'fast-check'
import { parse } from 'meriyah'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { originalColumn } from '../../../lib/background/compiling/code-edits.ts'
import { guardNames, instrument } from '../../../lib/background/compiling/guarded-code.ts'
import { findEdits } from '../../../lib/background/compiling/instrumenter.ts'
import { parseCode } from '../../../lib/background/compiling/parser.ts'
import { rewriteStack } from '../../../lib/background/compiling/stack.ts'
import { compileGuarded, outcomeOf } from '../../fixtures/guarded.ts'
import { createModuleLoader, type Require } from '../../fixtures/module-loader.ts'
import { tries } from '../../fixtures/tries.ts'

const MODULES = join(import.meta.dirname, '..', '..', '..', 'node_modules')
const read = (path: string) => readFileSync(join(MODULES, path), 'utf8')

describe('small pieces of code do the same under the guard', () => {
  const text = readFileSync(join(import.meta.dirname, 'snippets.txt'), 'utf8')
  const groups = text
    .split(/^## /m)
    .slice(1)
    .map((group) => [group.slice(0, group.indexOf('\n')), group.slice(group.indexOf('\n')).trim().split('\n----\n')])

  describe.each(groups as [string, string[]][])('%s', (_, snippets) => {
    it.each(snippets)('%s', async (code) => {
      const bare = await outcomeOf(code, 'off')
      expect(bare).not.toContain('CompileError')
      expect(await outcomeOf(code, 'on')).toBe(bare)
    })
  })
})

describe('the files of installed packages', () => {
  const files = listScripts(MODULES).slice(0, 300)

  it('compile under the guard wherever they can be the body of a function, with every line in its place', () => {
    const failed: string[] = []
    let compiled = 0
    for (const file of files) {
      const code = toBody(readFileSync(file, 'utf8'))
      try {
        parseCode(code)
        compileBody(code)
      } catch {
        continue
      }
      const guarded = instrument(code, parseCode(code), guardNames(code))
      try {
        compileBody(guarded)
      } catch (error) {
        failed.push(`${file}: ${(error as Error).message}`)
      }
      if (lineBreaks(guarded) !== lineBreaks(code)) failed.push(`${file}: lines`)
      compiled += 1
    }
    expect(failed).toEqual([])
    expect(compiled).toBeGreaterThan(100)
  })
})

describe('whole packages do the same under the guard', () => {
  const bare = createModuleLoader(false)
  const guarded = createModuleLoader(true)

  it.each<[string, (load: Require) => unknown]>([
    [
      'meriyah parses',
      (load) => JSON.stringify(load('meriyah').parse(read('undici/lib/web/fetch/index.js'), { ranges: true })),
    ],
    [
      'meriyah refuses',
      (load) =>
        ['a b', 'for(', '`${', 'class A { constructor(){} constructor(){} }'].map((code) =>
          attempt(() => load('meriyah').parse(code)),
        ),
    ],
    ['zod checks', (load) => checkWithZod(load('zod'))],
    ['fast-check makes up values', (load) => JSON.stringify(makeUpValues(load('fast-check')))],
    ['fast-check finds a counterexample', (load) => findCounterexample(load('fast-check'))],
    ['lru-cache evicts', (load) => fillCache(load('lru-cache'))],
    [
      'secure-json-parse parses and refuses',
      (load) =>
        ['{"a":[1]}', '{"__proto__":1}', '{'].map((text) => attempt(() => load('secure-json-parse').parse(text))),
    ],
    [
      'http-errors makes errors',
      (load) =>
        [404, 418, 'x'].map((given) =>
          attempt(() => {
            throw load('http-errors')(given)
          }),
        ),
    ],
    ['undici fetches', (load) => fetchWithUndici(load('undici'))],
    ['koa serves', (load) => serveWithKoa(load('koa'))],
  ])('%s', async (_, use) => {
    const expected = await use(bare)
    expect(expected).toBeDefined()
    expect(await use(guarded)).toEqual(expected)
  })

  it('really puts its checks into them', () => {
    expect(bare.files.length).toBeGreaterThan(100)
    expect(guarded.files).toEqual(bare.files)
    expect(guarded.checks()).toBeGreaterThan(100_000)
  })
})

describe('places in the code', () => {
  const { prepareStackTrace } = Error

  // The test runner's own takes some characters off each first line's columns.
  beforeEach(() => {
    Reflect.deleteProperty(Error, 'prepareStackTrace')
  })
  afterEach(() => {
    Error.prepareStackTrace = prepareStackTrace
  })

  const files = listScripts(MODULES).filter((file) => statSync(file).size < 60_000)

  it('are found again from where they are in the code that runs', () => {
    let found = 0
    fc.assert(
      fc.property(fc.nat(files.length - 1), fc.integer({ min: 1, max: 40 }), (index, step) => {
        const code = toBody(readFileSync(files[index] as string, 'utf8'))
        const marked = mark(code, step)
        if (marked === undefined) return
        const parsed = parseCode(marked.code)
        const names = guardNames(marked.code)
        const edits = findEdits(marked.code, parsed.block, parsed.offset, names)
        const running = instrument(marked.code, parsed, names)
        for (const { tag, token } of marked.marks) {
          const before = placeOf(running, running.indexOf(tag))
          const place = placeOf(marked.code, marked.code.indexOf(tag))
          found += 1
          expect(before.line).toBe(place.line)
          expect(originalColumn(marked.code, edits, before.line, before.column)).toBe(place.column)
          const start = marked.code.indexOf(tag) + tag.length
          const shown = placeOf(running, running.indexOf(tag) + tag.length + offsetOf(running, tag, token))
          expect(originalColumn(marked.code, edits, shown.line, shown.column)).toBe(placeOf(marked.code, start).column)
        }
      }),
      tries(20),
    )
    expect(found).toBeGreaterThan(100)
  })

  it.each([
    'throw new Error("x")',
    'const f = () => { throw new Error("x") }\nfunction g() { return f() }\n  g()',
    'const f = (a) => a.b.c\n\n[1].map((x) => f(x))\nf(1)',
    'params.nope()',
    'const a = 1; params.x.y.z()',
    'undefinedName',
    'new params.X()',
    'class A { constructor() { this.x.y } }\nclass B extends A { constructor() { super() } }\nnew B()',
    'class A { x = params.a.b }\n new A()',
    'class A { static { params.a.b() } }',
    'function* g() { yield 1; throw new Error("x") }\n[...g()]',
    'for await (const x of (async function* () { yield 1; throw new Error("x") })()) ;',
    'const t = (s) => { throw new Error("x") }; if (1) t`a`',
    'for (const x of [1]) x.y.z',
    'do params.a.b; while (1)',
    'const { a: { b } } = {}',
    '((a = params.b.c) => a)()',
    '[1].forEach((x) => { throw new Error("x") })',
    'x: for (;;) { for (;;) { null.x; continue x } }',
    'await params.a.b',
    'const s = "ä😀"; const ü = () => { null.x }; ü()',
    'const a = `\n` + [1].map((x) => x); null.x',
    'const a = 1 /* \r\n */; params.f()\r\n',
  ])('stand in stack traces as without the guard: %s', async (code) => {
    const frames = async (mode: 'on' | 'off') => {
      const error = await rejection(() => compileGuarded(code, mode).run())
      if (mode === 'on') rewriteStack({ spec: { name: 'code', code, guard: 'on' } }, error)
      return error.stack?.split('\n').filter((line) => line.includes('dynacode:plugin:code'))
    }
    const expected = await frames('off')
    expect(expected?.length).toBeGreaterThan(0)
    expect(await frames('on')).toEqual(expected)
  })

  it.each([
    'async function f() { throw new Error("x") }\nawait f()',
    'async function f(a = params.b.c) {}\nawait f()',
    'const f = async () => { await null; params.a.b() }\nawait f()',
    'const o = { async m(a)\n{\n await null; throw new Error("x") } }\nawait o.m(1)',
    'await Promise.all([1].map(async (x) => { await null; null.x }))',
    'await new Promise((yes, no) => setTimeout(() => { try { params.a.b } catch (e) { no(e) } }, 1))',
  ])('of errors in asynchronous functions stand at the top of their stacks: %s', async (code) => {
    const place = async (mode: 'on' | 'off') => {
      const error = await rejection(() => compileGuarded(code, mode).run())
      if (mode === 'on') rewriteStack({ spec: { name: 'code', code, guard: 'on' } }, error)
      return /dynacode:plugin:code:\d+:\d+/.exec(error.stack ?? '')?.[0]
    }
    const expected = await place('off')
    expect(expected).toBeDefined()
    expect(await place('on')).toBe(expected)
  })
})

/** Every script below a folder, in an order that mixes packages and is the same each time. */
function listScripts(folder: string): string[] {
  const found = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.[cm]?js$/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((file) => statSync(file).size < 500_000)
  const order = (file: string) => createHash('sha1').update(file.slice(folder.length)).digest('hex')
  return found
    .map((file) => ({ file, key: order(file) }))
    .sort((a, b) => (a.key < b.key ? -1 : 1))
    .map(({ file }) => file)
}

/** Makes a module's text one that can stand in a function, by leaving out what only modules may have. */
function toBody(code: string): string {
  if (!/^\s*(?:im|ex)port\b/m.test(code)) return code
  const blank = (text: string) => text.replace(/[^\n\r]/g, ' ')
  try {
    const { body } = parse(code, { module: true, ranges: true, next: true })
    let result = code
    for (const node of body as unknown as {
      type: string
      start: number
      end: number
      declaration?: { start: number }
    }[]) {
      const isImport = node.type === 'ImportDeclaration' || node.type === 'ExportAllDeclaration'
      if (!isImport && !node.type.startsWith('Export')) continue
      const end = isImport || !node.declaration ? node.end : node.declaration.start
      const isDefault = node.type === 'ExportDefaultDeclaration'
      const left = blank(result.slice(node.start, end))
      result = result.slice(0, node.start) + (isDefault ? `void${left.slice(4)}` : left) + result.slice(end)
    }
    return result.replaceAll('import.meta', 'import_meta')
  } catch {
    return code
  }
}

function compileBody(code: string): void {
  const names = Object.values(guardNames(code)).slice(1)
  compileFunction(`return async function () {"use strict";{${code}\n}}`, names)
}

function lineBreaks(text: string): string {
  return text.replace(/[^\n\r\u2028\u2029]/g, '')
}

/** Puts a comment before every so many-th word of the code. */
function mark(code: string, step: number) {
  const tokens = new Map<number, string>()
  const before = 'async function code() { "use strict";{'
  try {
    parse(`${before}${code}\n}}`, {
      ranges: true,
      webcompat: true,
      onToken: ((type: string, start: number, end: number) => {
        const text = code.slice(start - before.length, end - before.length)
        const isPrivate = code[start - before.length - 1] === '#'
        if (/Identifier|Keyword/.test(type) && /^[\w$]+$/.test(text) && !isPrivate)
          tokens.set(start - before.length, text)
      }) as never,
    })
    parseCode(code)
  } catch {
    return undefined
  }
  // What the guard's own text has in it cannot be told from the code's.
  const chosen = [...tokens]
    .map(([start, text]) => ({ start, text }))
    .sort((a, b) => a.start - b.start)
    .filter(({ start, text }, index) => start >= 0 && index % step === 0 && !['if', 'return', 'async'].includes(text))
  let marked = ''
  let from = 0
  const marks = chosen.map(({ text, start }, index) => {
    const tag = `/*@${index}@*/`
    marked += code.slice(from, start) + tag
    from = start
    return { tag, token: text }
  })
  return { code: marked + code.slice(from), marks }
}

/** How far behind its tag a token stands. */
function offsetOf(text: string, tag: string, token: string): number {
  const rest = text.slice(text.indexOf(tag) + tag.length)
  return rest.search(new RegExp(`(?<![\\w$])${token.replaceAll('$', '\\$')}(?![\\w$])`))
}

function placeOf(text: string, index: number): { line: number; column: number } {
  const lines = text.slice(0, index).split(/\r\n|[\n\r\u2028\u2029]/)
  return { line: lines.length, column: (lines.at(-1) as string).length + 1 }
}

async function rejection(task: () => unknown): Promise<Error> {
  try {
    await task()
  } catch (error) {
    return error as Error
  }
  throw new Error('expected an error')
}

function attempt(task: () => unknown): unknown {
  try {
    return task()
  } catch (error) {
    return `${(error as Error).name}: ${(error as Error).message}`
  }
}

// biome-ignore lint/suspicious/noExplicitAny: packages that are loaded in an unusual way have no types
type Package = any

function checkWithZod(z: Package): unknown {
  const schema = z.strictObject({
    a: z.string().min(2),
    b: z.array(z.number()).optional(),
    c: z.union([z.literal('x'), z.email()]),
    d: z.record(z.string(), z.unknown()).transform(Object.keys),
  })
  const values = [{}, { a: 'xx', c: 'x', d: { k: 1 } }, { a: 1, b: ['x'], c: 'q', d: 4, e: 5 }, null]
  return values.map((value) => JSON.stringify(schema.safeParse(value)))
}

function makeUpValues(check: Package): unknown {
  const values = check.array(check.record({ a: check.string(), b: check.integer(), c: check.date() }))
  return check.sample(values, { seed: 42, numRuns: 30 })
}

async function findCounterexample(check: Package): Promise<unknown> {
  const property = check.asyncProperty(check.array(check.integer()), async (a: number[]) => a.length < 5)
  return (await check.check(property, { seed: 42 })).counterexample
}

function fillCache({ LRUCache }: Package): unknown {
  const cache = new LRUCache({ max: 10, ttl: 1e6 })
  for (let index = 0; index < 200; index += 1) {
    cache.set(index % 17, index)
    cache.get(index % 5)
  }
  return [...cache.entries()]
}

async function withServer<T>(listener: RequestListener, use: (uri: string) => Promise<T>): Promise<T> {
  const server = createServer(listener).listen(0, '127.0.0.1')
  await once(server, 'listening')
  try {
    return await use(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  } finally {
    server.close()
    server.closeAllConnections()
  }
}

function fetchWithUndici({ Agent, fetch, request, FormData }: Package): Promise<unknown> {
  const echo: RequestListener = (given, response) => {
    response.setHeader('x-method', given.method ?? '')
    given.pipe(response)
  }
  return withServer(echo, async (uri) => {
    const dispatcher = new Agent()
    const answer = await fetch(uri, { method: 'POST', body: 'hello', dispatcher })
    const { statusCode, body } = await request(uri, { method: 'PUT', body: '{"a":1}', dispatcher })
    const form = new FormData()
    form.set('a', 'b')
    const refused = await fetch('http://127.0.0.1:1/', { dispatcher }).catch((error: Package) => [
      error.message,
      error.cause.code,
    ])
    const results = [
      answer.status,
      answer.headers.get('x-method'),
      await answer.text(),
      statusCode,
      await body.json(),
      [...form],
      refused,
    ]
    await dispatcher.close()
    return results
  })
}

function serveWithKoa(Koa: Package): Promise<unknown> {
  const app = new Koa({ keys: ['key'] })
  app.silent = true
  app.use(async (ctx: Package, next: () => Promise<void>) => {
    try {
      await next()
    } finally {
      ctx.set('x-late', '1')
    }
  })
  app.use(async (ctx: Package) => {
    if (ctx.path === '/teapot') ctx.throw(418, 'tea')
    if (ctx.path === '/error') throw new Error('x')
    ctx.cookies.set('a', 'b', { signed: true })
    ctx.body = { query: ctx.query, type: ctx.accepts('json', 'html'), host: ctx.hostname }
  })
  return withServer(app.callback(), async (uri) => {
    const answers = []
    for (const path of ['/?a=1&a=2', '/teapot', '/error']) {
      const answer = await fetch(uri + path)
      answers.push(
        answer.status,
        await answer.text(),
        [...answer.headers].filter(([name]) => name !== 'date'),
      )
    }
    return answers
  })
}
