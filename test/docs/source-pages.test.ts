import { createRequire } from 'node:module'
import Koa from 'koa'
import ts from 'typescript'
import { describe, expect, test } from 'vitest'
import * as lib from '../../lib/index.ts'
import * as memcachedEntry from '../../lib/sources/memcached.ts'
import * as redisEntry from '../../lib/sources/redis.ts'
import * as testing from '../../lib/testing/index.ts'
import { namesIn, type Page, readDocsPage, tablesOf } from './pages.ts'

const require = createRequire(import.meta.url)
const AsyncFunction = (async () => undefined).constructor as FunctionConstructor

/** Runs a snippet of a page with these modules and variables in scope; resolves with the ones of its own that are named. */
async function run(
  text: string,
  names: readonly string[],
  modules: Record<string, unknown> = {},
  variables: Record<string, unknown> = {},
) {
  const { outputText } = ts.transpileModule(text, {
    compilerOptions: { module: ts.ModuleKind.CommonJS, target: ts.ScriptTarget.ES2022, esModuleInterop: true },
  })
  const all: Record<string, unknown> = {
    dynacode: lib,
    'dynacode/redis': redisEntry,
    'dynacode/memcached': memcachedEntry,
    'dynacode/testing': testing,
    ...modules,
  }
  const body = `${outputText}\nreturn { ${names.join(', ')} }`
  const scope = { require: (name: string) => all[name] ?? require(name), exports: {}, app: new Koa(), ...variables }
  return new AsyncFunction(...Object.keys(scope), body)(...Object.values(scope))
}

const snippetsOf = ({ blocks }: Page, lang: string) =>
  blocks.filter((block) => block.lang === lang).map(({ text }) => text)

describe('docs/writing-a-source.md', () => {
  const page = readDocsPage('writing-a-source')

  test('has every case, and no other', async () => {
    const cases = testing.checkSource(() => Promise.reject(new Error('not called')))
    expect(namesIn(tablesOf(page, 'case'))).toEqual(cases.map(({ name }) => name))
  })

  test('its source does well in its own test', async () => {
    const [source, suite] = snippetsOf(page, 'ts')
    const { file_source } = await run(source!, ['file_source'])
    const cases: [string, testing.SourceCase['run']][] = []
    const modules = { 'node:test': { test: (...each: (typeof cases)[number]) => cases.push(each) } }
    await run(suite!, [], modules, { file_source })
    const skipped: string[] = []
    for (const [name, look] of cases) await look({ skip: () => skipped.push(name) })
    expect(cases).toHaveLength(19)
    expect(skipped).toEqual([])
  })
})
