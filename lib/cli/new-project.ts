const HELLO = `/// <reference types="dynacode/plugin/content" />
// Answers in place of the app.
if (ctx.path === '/hello') say(\`hello \${ctx.query.name ?? params.name}\`)
`

const TEST = `import { test } from 'node:test'
import { plugin_app } from 'dynacode/testing'
import request from 'supertest'

const PLUGINS = new URL('../plugins/', import.meta.url)

test('says hello', async () => {
  const app = await plugin_app(PLUGINS)
  await request(app.callback()).get('/hello?name=you').expect(200, 'hello you\\n')
})

test('leaves other paths to the app', async () => {
  const app = await plugin_app(PLUGINS)
  await request(app.callback()).get('/').expect(200, 'app')
})
`

const CI = `name: plugins
on: [push, pull_request]
jobs:
  check:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-node@v4
        with:
          node-version: 22
      - run: npm install
      - run: npm run check
      - run: npm test
`

const TSCONFIG = {
  compilerOptions: {
    target: 'es2022',
    lib: ['es2023'],
    types: [],
    module: 'esnext',
    moduleResolution: 'bundler',
    moduleDetection: 'force',
    allowJs: true,
    checkJs: true,
    strict: true,
    noImplicitAny: false,
    noEmit: true,
    skipLibCheck: true,
  },
  include: ['**/*.js', '**/*.ts'],
}

const MANIFEST = {
  domains: [{ name: '*', plugins: [{ name: 'hello', phase: 'content', file: 'hello.js', params: { name: 'world' } }] }],
}

/**
 * The files of a new project, by their names: a folder of plugins, a test, and what git and CI need.
 *
 * @param version of dynacode
 */
export function createProject(version: string): ReadonlyMap<string, string> {
  const manifest = {
    private: true,
    type: 'module',
    scripts: {
      check: 'dynacode check plugins --types',
      test: 'node --test',
      serve: 'dynacode serve plugins',
      pack: 'dynacode pack plugins -o plugins.json',
    },
    devDependencies: {
      '@types/koa': '^3.0.0',
      dynacode: `^${version}`,
      koa: '^3.0.0',
      recheck: '^4.4.0',
      supertest: '^7.0.0',
      typescript: '^5.0.0',
    },
  }
  return new Map([
    ['package.json', toJson(manifest)],
    ['plugins/dynacode.json', toJson(MANIFEST)],
    ['plugins/hello.js', HELLO],
    ['plugins/tsconfig.json', toJson(TSCONFIG)],
    ['test/hello.test.js', TEST],
    ['.gitignore', 'node_modules/\n/plugins.json\nprivate.json\n'],
    ['.github/workflows/plugins.yml', CI],
  ])
}

function toJson(value: unknown): string {
  return `${JSON.stringify(value, undefined, 2)}\n`
}
