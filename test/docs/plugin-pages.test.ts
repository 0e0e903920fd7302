import { createRequire } from 'node:module'
import { join } from 'node:path'
import ts from 'typescript'
import { describe, expect, test } from 'vitest'
import { checkTypes } from '../../lib/plugin/check-types.ts'
import { stripTypes } from '../../lib/sources/folder/strip-types.ts'
import * as testing from '../../lib/testing/index.ts'
import type { PluginApp, PluginAppOptions } from '../../lib/testing/plugin-app.ts'
import { documentOf, folderOf } from '../fixtures/plugin-folder.ts'
import { namesIn, ROOT, readDocsPage, tablesOf } from './pages.ts'

const require = createRequire(import.meta.url)
const sorted = (names: Iterable<string>) => [...names].sort()

describe('docs/testing-plugins.md', () => {
  const page = readDocsPage('testing-plugins')

  /** The tests of a snippet, run by whoever asks; the folder that it names is there. */
  function testsOf(text: string): [title: string, run: () => Promise<void>][] {
    const { outputText } = ts.transpileModule(text, {
      compilerOptions: { module: ts.ModuleKind.CommonJS, target: ts.ScriptTarget.ES2022, esModuleInterop: true },
    })
    const found: [string, () => Promise<void>][] = []
    const plugin_app = (given: testing.Given, options?: PluginAppOptions): Promise<PluginApp> => {
      const folder = () =>
        folderOf({ 'dynacode.json': documentOf({ phase: 'content', file: 'a.js' }), 'a.js': "say('hello')" })
      return testing.plugin_app(given === 'plugins' ? folder() : given, options)
    }
    const modules: Record<string, unknown> = {
      'node:test': { test: (title: string, run: () => Promise<void>) => found.push([title, run]) },
      'dynacode/testing': { ...testing, plugin_app },
    }
    new Function('require', 'exports', outputText)((name: string) => modules[name] ?? require(name), {})
    return found
  }

  const tests = page.blocks.filter(({ lang }) => lang === 'ts').flatMap(({ text }) => testsOf(text))

  test('has a test in every snippet', () => {
    expect(tests).toHaveLength(page.blocks.length)
  })

  test.each(tests)('%s', (_, run) => run())

  test('reaches the first assertion within three lines', () => {
    const [first = ''] = page.blocks.map(({ text }) => text)
    const lines = first.slice(first.indexOf('test(')).split('\n')
    expect(lines.findIndex((line) => line.includes('.expect('))).toBeLessThan(3)
  })

  test('lists every option, and no other', async () => {
    const known = ['app', 'globals', 'now', 'options', 'allow_refused'] satisfies (keyof PluginAppOptions)[]
    expect(sorted(namesIn(tablesOf(page, 'option')))).toEqual(sorted(known))
  })

  test('lists everything that the app carries, and no other', async () => {
    const app = await testing.plugin_app([])
    const plain = new (Object.getPrototypeOf(app).constructor)()
    const own = Object.keys(app).filter((name) => !Object.hasOwn(plain, name) && !name.startsWith('_'))
    const listed = namesIn(tablesOf(page, 'member')).map((name) => name.replace(/\(.*/, ''))
    expect(sorted(listed)).toEqual(sorted(own))
  })
})

describe('docs/types.md', () => {
  const page = readDocsPage('types')
  const textOf = (lang: string) => page.blocks.find((block) => block.lang === lang)?.text ?? ''
  const faults = checkTypes(ts, [
    { name: 'token', phase: 'access', code: textOf('js') },
    { name: 'limit', phase: 'access', code: textOf('text'), typescript: true, params: [{ count: 1 }] },
  ])

  test('says what is found in its example, and has another in which nothing is', () => {
    expect(faults.map(({ plugin, line }) => [plugin, line])).toEqual([['token', 4]])
    expect(page.prose).toContain(`\`${faults[0]?.message}\``)
  })

  test('has an example in TypeScript that runs without its types', async () => {
    const app = await testing.plugin_app({
      phase: 'access',
      code: await stripTypes(textOf('text')),
      params: { count: 0 },
    })
    const server = app.listen(0)
    try {
      const { port } = server.address() as { port: number }
      expect((await fetch(`http://127.0.0.1:${port}/`)).status).toBe(429)
    } finally {
      server.close()
    }
  })

  test('says what an editor shows with its tsconfig.json', () => {
    const { options, errors } = ts.parseJsonConfigFileContent(JSON.parse(textOf('json')), ts.sys, join(ROOT, 'docs'))
    expect(errors.filter(({ code }) => code !== 18_003)).toEqual([])
    const editor = (code: string) => {
      const folder = folderOf({ 'a.js': code })
      const program = ts.createProgram([join(folder, 'a.js')], options)
      const file = program.getSourceFile(join(folder, 'a.js'))
      return program.getSemanticDiagnostics(file).map(({ messageText }) => messageText)
    }
    const [underlined, ...more] = editor('if (await 1) return')
    expect(more).toEqual([])
    expect(page.prose).toContain(`\`${underlined}\``)
    expect(editor('// @ts-ignore\nif (await 1) return')).toEqual([])
  })
})
