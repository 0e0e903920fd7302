import { existsSync, readFileSync } from 'node:fs'
import { createServer, type RequestListener, type Server } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { dirname, join, normalize } from 'node:path'
import Koa from 'koa'
import ts from 'typescript'
import { afterEach, describe, expect, test } from 'vitest'
import * as lib from '../../lib/index.ts'
import { createInstance, createReadyInstance, payloadsOf, record } from '../fixtures/instance.ts'
import { startPluginApi } from '../fixtures/plugin-api.ts'
import { differences, isShown, readConsole, readRecipe, send } from './exchange.ts'
import {
  anchorOf,
  type Block,
  codeIn,
  type Page,
  ROOT,
  readDocsPage,
  readOtherPages,
  readPages,
  tablesOf,
} from './pages.ts'

const pages = readPages()
const blocks = pages.flatMap((page) => page.blocks)
const marked = (lang: string, mark: string, value?: string) =>
  blocks.filter(
    ({ lang: own, marks }) => own === lang && (value === undefined ? marks.has(mark) : marks.get(mark) === value),
  )

const servers = new Set<Server>()

afterEach(async () => {
  await Promise.all(
    [...servers].map((server) => {
      servers.delete(server)
      server.closeAllConnections()
      return new Promise((resolve) => server.close(resolve))
    }),
  )
})

describe('the snippets', () => {
  test('are all of a kind that is tried here', () => {
    const MARKS: Record<string, readonly string[]> = {
      // What is to sign is tried in trust.test.ts, the files of a reader's own project in test/package.
      ts: ['app', 'check', 'sign', 'file'],
      // What is a file of the cookbook is tried beside it, what verifies the studio's webhooks with these.
      js: ['plugin', 'recipe', 'throws', 'file', 'verify'],
      json: ['document', 'step', 'file', 'tsconfig', 'report'],
      // Commands of this repository, and of a reader's own project.
      sh: [],
      bash: [],
      console: [],
      lua: [],
      text: [],
    }
    const strange = blocks.filter(({ lang, marks }) => {
      const known = MARKS[lang]
      if (known === undefined || [...marks.keys()].some((mark) => !known.includes(mark))) return true
      return known.length > 0 && lang !== 'json' && marks.size === 0
    })
    expect(strange.map(({ place }) => place)).toEqual([])
  })

  test.each(blocks.filter(({ lang }) => lang === 'json'))('$place is JSON', ({ text }) => {
    expect(() => JSON.parse(text)).not.toThrow()
  })

  test.each(blocks.filter(({ lang }) => lang === 'sh'))('$place runs scripts that there are', ({ text }) => {
    const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { scripts: object }
    const named = [...text.matchAll(/\bnpm (?:run ([\w:-]+)|(test)\b)/g)].map(([, run, plain]) => run ?? plain)
    if (!/^npm install [a-z ]+$/.test(text.trim())) expect(named).not.toHaveLength(0)
    expect(named.filter((name) => !Object.hasOwn(scripts, name as string))).toEqual([])
  })
})

describe('TypeScript', () => {
  const snippets = blocks.filter(({ lang }) => lang === 'ts').map(({ place, text }) => ({ place, text }))
  const reports = marked('json', 'report').map(({ place, text }) => ({
    place: `${place}, as a Report,`,
    text: `import type { Report } from 'dynacode'\nexport const report: Report = ${text}`,
  }))
  const files = new Map(
    [...snippets, ...reports].map((each, index) => [join(import.meta.dirname, `snippet-${index}.ts`), each] as const),
  )
  const wrong = checkTypes(new Map([...files].map(([path, { text }]) => [path, text])))

  test('has a report to compile', () => expect(reports).toHaveLength(1))

  test.each([...files].map(([path, { place }]) => ({ path, place })))('$place compiles by itself', ({ path }) => {
    expect(wrong.get(path)).toEqual([])
  })
})

/** Type errors of every file, by its path. Each snippet has to declare all that it uses: readers copy one at a time. */
function checkTypes(files: ReadonlyMap<string, string>): Map<string, string[]> {
  const texts = new Map([...files].map(([path, text]) => [path, `${text}\nexport {}\n`]))
  const { config } = ts.readConfigFile(join(ROOT, 'tsconfig.json'), ts.sys.readFile)
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, ROOT)
  const host = ts.createCompilerHost(options)
  const { readFile, fileExists } = host
  host.readFile = (path) => texts.get(normalize(path)) ?? readFile(path)
  host.fileExists = (path) => texts.has(normalize(path)) || fileExists(path)
  const { getSourceFile } = host
  host.getSourceFile = (path, target, ...rest) => {
    const text = texts.get(normalize(path))
    return text === undefined ? getSourceFile(path, target, ...rest) : ts.createSourceFile(path, text, target, true)
  }
  const program = ts.createProgram([...texts.keys()], options, host)
  return new Map(
    [...files.keys()].map((path) => {
      const file = program.getSourceFile(path)
      const found = [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)]
      return [path, found.map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'))]
    }),
  )
}

describe('documents', () => {
  test.each(marked('json', 'document', ''))('$place goes live as it is', async ({ text }) => {
    const dyna = createInstance({ source: { fetch: async () => ({ bytes: Buffer.from(text) }) } })
    const seen = record(dyna, ['bg_compile_error', 'on_error'])
    expect(await dyna.refresh()).toMatchObject({ updated: true, failed: 0 })
    expect(seen).toEqual([])
  })

  test.each(marked('json', 'document', 'refused'))('$place is refused in the words below it', async (block) => {
    const dyna = createInstance({ source: { fetch: async () => ({ bytes: Buffer.from(block.text) }) } })
    const seen = record(dyna)
    const refresh = await dyna.refresh()
    const errors = [...payloadsOf(seen, 'on_error'), ...payloadsOf(seen, 'bg_compile_error')].map(({ error }) => error)
    const told = refresh.updated ? errors : [refresh.error]
    expect(told.map((error) => (error as Error).message)).toEqual(after(block).text.split('\n'))
  })
})

/** The block that follows on the same page. */
function after(block: Block): Block {
  const next = blocks[blocks.indexOf(block) + 1]
  if (next === undefined) throw new Error(`${block.place}: expected a block after it`)
  return next
}

describe('wrong options', () => {
  test.each(marked('js', 'throws'))('$place throws what its comment says', ({ text }) => {
    const said = text.split('\n').findLast((line) => line.startsWith('// '))
    let thrown: unknown
    try {
      new Function('dynacode', text)(createInstance)
    } catch (error) {
      thrown = error
    }
    expect(`// ${thrown}`).toBe(said)
  })
})

describe('apps', () => {
  test('the app of the README has less than 20 lines', () => {
    const [app] = marked('ts', 'app').filter(({ place }) => place.startsWith('README.md'))
    expect(app?.text.split('\n').length).toBeLessThan(20)
  })

  const transcripts = pages.flatMap((page) =>
    page.blocks
      .filter(({ lang }) => lang === 'console')
      .flatMap((block) => readConsole(block.text).map((exchange) => ({ page, exchange, block, place: block.place })))
      .map((transcript) => ({ ...transcript, line: `${transcript.exchange.method} ${transcript.exchange.path}` })),
  )

  test.each(transcripts)('$place: curl prints what is shown', async ({ page, exchange, block }) => {
    const app = find(page, 'ts', 'app')
    // The document that the reader saw last.
    const above = { ...page, blocks: page.blocks.slice(0, page.blocks.indexOf(block)).reverse() }
    const port = await start(app, JSON.parse(find(above, 'json', 'document').text))
    const answer = await send(port, exchange)
    const printed = exchange.verbose ? answer.lines : answer.lines.slice(answer.lines.indexOf('') + 1)
    if (!isShown(printed, exchange.expected)) expect(printed).toEqual(exchange.expected)
  })
})

function find({ file, blocks }: Page, lang: string, mark: string): Block {
  const found = blocks.find((block) => block.lang === lang && block.marks.has(mark))
  if (found === undefined) throw new Error(`${file}: expected a block ${lang} ${mark}`)
  return found
}

/** Runs an app's snippet in front of an API that serves the document; returns the port on which it listens. */
async function start({ text }: Block, document: unknown): Promise<number> {
  const api = await startPluginApi(document)
  const listening: Promise<number>[] = []
  const ready: Promise<unknown>[] = []
  // The app's own port may be taken, and its log is not what is looked at here.
  class QuietKoa extends Koa {
    override silent = true
    // biome-ignore lint/suspicious/noExplicitAny: the overloads all lead here
    override listen(..._given: any[]): Server {
      const server = createServer(this.callback())
      listening.push(listen(server))
      return server
    }
  }
  const modules: Record<string, unknown> = {
    koa: { __esModule: true, default: QuietKoa },
    dynacode: {
      ...lib,
      dynacode(options: lib.DynacodeOptions) {
        const dyna = createInstance({ ...options, plugin_api_uri: api.uri })
        ready.push(dyna.ready())
        return dyna
      },
    },
  }
  const require = createRequire(import.meta.url)
  const { outputText } = ts.transpileModule(text, {
    compilerOptions: { module: ts.ModuleKind.CommonJS, target: ts.ScriptTarget.ES2022, esModuleInterop: true },
  })
  new Function('require', 'exports', outputText)((name: string) => modules[name] ?? require(name), {})
  await Promise.all(ready)
  const [port] = await Promise.all(listening)
  if (port === undefined) throw new Error('the snippet does not listen')
  return port
}

async function listen(server: Server): Promise<number> {
  servers.add(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return (server.address() as AddressInfo).port
}

describe('plugins', () => {
  const app = find(readDocsPage('plugins'), 'ts', 'app')
  // Blocks of one page that carry the same `recipe=` make one document; any other stands alone.
  const recipes = new Map<string, Block[]>()
  for (const block of marked('js', 'plugin')) {
    const recipe = block.marks.get('recipe')
    const key = recipe === undefined ? block.place : `${block.place.split(':')[0]}, ${recipe}`
    recipes.set(key, [...(recipes.get(key) ?? []), block])
  }

  test.each([...recipes])('%s does what its comments say', async (_place, parts) => {
    const service = `http://127.0.0.1:${await listen(createServer(letAliceIn))}`
    const plugins = parts.map(({ marks, text }, index) => ({
      name: `plugin ${index}`,
      phase: marks.get('plugin'),
      code: text,
      ...(JSON.parse(JSON.stringify(readRecipe(text).fields).replaceAll('http://127.0.0.1:9100', service)) as object),
    }))
    const port = await start(app, { domains: [{ name: '*', plugins }] })
    const exchanges = parts.flatMap(({ text }) => readRecipe(text).exchanges)
    expect(exchanges).not.toHaveLength(0)
    for (const exchange of exchanges) {
      expect(exchange.expected).not.toHaveLength(0)
      const answer = await send(port, exchange)
      expect(differences(answer, exchange.expected)).toEqual([])
    }
  })
})

/** The service that docs/plugins.md asks: alice may, others may not. */
const letAliceIn: RequestListener = ({ headers }, response) => {
  response.writeHead(headers['x-user'] === 'alice' ? 204 : 403).end()
}

describe('the hosts that a name matches', () => {
  const rows = tablesOf(readDocsPage('document'), 'domain name').flatMap(({ rows }) =>
    rows.map(([name = '', matches = '', others = '']) => ({
      name: codeIn(name)[0] ?? '',
      matches: codeIn(matches),
      others: codeIn(others),
    })),
  )

  test.each(rows)('$name', async ({ name, matches, others }) => {
    const document = { domains: [{ name, plugins: [{ name: 'p', phase: 'content', code: `say('matched')` }] }] }
    const bytes = Buffer.from(JSON.stringify(document))
    const dyna = await createReadyInstance({ source: { fetch: async () => ({ bytes }) } })
    const app = new Koa().use(dyna)
    const port = await listen(createServer(app.callback()))
    const ask = async (host: string) => (await send(port, { method: 'GET', path: '/', headers: { host } })).status
    expect([...matches, ...others].length).toBeGreaterThan(0)
    for (const host of matches) expect(`${host} ${await ask(host)}`).toBe(`${host} 200`)
    for (const host of others) expect(`${host} ${await ask(host)}`).toBe(`${host} 404`)
  })
})

describe('links', () => {
  const all = [...pages, ...readOtherPages()]
  const links = all.flatMap(({ file, links }) => links.map((link) => ({ file, link })))

  test.each(links.filter(({ link }) => !/^https?:/.test(link)))('$file: $link leads somewhere', ({ file, link }) => {
    const [path = '', anchor] = link.split('#')
    const target = path === '' ? file : normalize(join(dirname(file), path)).replaceAll('\\', '/')
    expect(existsSync(join(ROOT, target))).toBe(true)
    if (anchor === undefined) return
    const page = all.find((candidate) => candidate.file === target)
    expect(page?.headings.map(anchorOf)).toContain(anchor)
  })

  test('every page of docs can be reached from the README', () => {
    const reached = new Set(['README.md'])
    for (const file of reached) {
      for (const link of pages.find((page) => page.file === file)?.links ?? []) {
        const target = normalize(join(dirname(file), link.split('#')[0] ?? '')).replaceAll('\\', '/')
        if (pages.some((page) => page.file === target)) reached.add(target)
      }
    }
    expect(pages.map(({ file }) => file).filter((file) => !reached.has(file))).toEqual([])
  })
})
