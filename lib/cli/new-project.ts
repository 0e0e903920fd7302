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
  $schema: '../node_modules/dynacode/schema.json',
  domains: [{ name: '*', plugins: [{ name: 'hello', phase: 'content', file: 'hello.js', params: { name: 'world' } }] }],
}

const APP = `// An app to try the plugins on: npm start, while npm run serve is running.
import { dynacode } from 'dynacode'
import Koa from 'koa'

const { PORT = '3000', PLUGIN_API_URI = 'http://127.0.0.1:9090/plugins.json' } = process.env

const app = new Koa()
app.use(
  dynacode({
    plugin_api_uri: PLUGIN_API_URI,
    plugin_api_wait: 30,
    plugin_api_polling_interval: 1,
    on_update: ({ version, plugins }) => console.log(\`version \${version} is live: plugins: \${plugins}\`),
    on_compile_fail: ({ error }) => console.error(error.message),
    on_fail: ({ plugin, error }) => console.error(plugin.name, error),
  }),
)
app.use((ctx) => {
  ctx.body = 'the app itself\\n'
})
const server = app.listen(Number(PORT), '127.0.0.1', () => {
  console.log(\`listening on http://127.0.0.1:\${server.address().port}/\`)
})
`

/**
 * The files of a new project, by their names: a folder of plugins, a test, an app to try them on, and what git and
 * CI need.
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
      start: 'node app.js',
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
    ['app.js', APP],
    ['.gitignore', 'node_modules/\n/plugins.json\nprivate.json\n'],
    ['.github/workflows/plugins.yml', CI],
  ])
}

function toJson(value: unknown): string {
  return `${JSON.stringify(value, undefined, 2)}\n`
}
