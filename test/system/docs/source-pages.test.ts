import { execFile } from 'node:child_process'
import { createRequire } from 'node:module'
import { promisify } from 'node:util'
import * as memjs from 'memjs'
import * as redis from 'redis'
import ts from 'typescript'
import { afterEach, describe, expect, test, vi } from 'vitest'
import * as lib from '../../../lib/index.ts'
import * as memcachedEntry from '../../../lib/sources/memcached.ts'
import * as redisEntry from '../../../lib/sources/redis.ts'
import * as testing from '../../../lib/testing/index.ts'
import { type Page, readDocsPage } from '../../docs/pages.ts'
import { hasProgram, startMemcached, startRedis } from '../../fixtures/services.ts'

/** Real processes, on machines with other work. */
const PATIENCE = { timeout: 60_000, interval: 20 }

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

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
  const scope = { require: (name: string) => all[name] ?? require(name), exports: {}, ...variables }
  return new AsyncFunction(...Object.keys(scope), body)(...Object.values(scope))
}

const snippetsOf = ({ blocks }: Page, lang: string) =>
  blocks.filter((block) => block.lang === lang).map(({ text }) => text)

describe.runIf(hasProgram('redis-server'))('docs/source-redis.md', () => {
  test('its app takes what its publisher, and redis-cli, publish', async () => {
    const page = readDocsPage('source-redis')
    const { port } = await startRedis()
    const texts = snippetsOf(page, 'ts').map((text) => text.replace('6379', `${port}`))
    const [app] = texts
    const publisher = texts.find((text) => text.includes('publish_document'))
    const modules = { redis }
    const { client, dyna } = await run(app!, ['client', 'dyna'], modules)
    cleanups.push(
      () => client.destroy(),
      () => dyna.close(),
    )
    await run(publisher!, [], modules)
    await vi.waitFor(() => expect(dyna.status().plugins).toMatchObject([{ name: 'hello' }]), PATIENCE)

    const [lines] = snippetsOf(page, 'text')
    const script = lines!
      .replaceAll('redis-cli', `redis-cli -p ${port}`)
      .replace('< plugins.json', `<<'END'\n{"domains":[],"general":{"version":7}}\nEND`)
    await promisify(execFile)('sh', ['-c', script])
    await vi.waitFor(() => expect(dyna.status().version).toBe(7), PATIENCE)
  })
})

describe.runIf(hasProgram('memcached'))('docs/source-memcached.md', () => {
  test('its app takes what its publisher publishes', async () => {
    const { port } = await startMemcached()
    const [app, publisher] = snippetsOf(readDocsPage('source-memcached'), 'ts').map((text) =>
      text.replace('11211', `${port}`),
    )
    await run(publisher!, [], { memjs })
    const { client, dyna } = await run(app!, ['client', 'dyna'], { memjs })
    cleanups.push(
      () => client.close(),
      () => dyna.close(),
    )
    await dyna.ready(10_000)
    expect(dyna.status().plugins).toMatchObject([{ name: 'hello' }])
  })
})
