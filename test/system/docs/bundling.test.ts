import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type BuildOptions, build } from 'esbuild'
import { afterAll, beforeAll, expect, test } from 'vitest'

const ROOT = join(import.meta.dirname, '..', '..', '..')
const PAGE = readFileSync(join(ROOT, 'docs', 'bundling.md'), 'utf8')
const [, BANNER = ''] = /--banner:js="(.+)"$/m.exec(PAGE) ?? []

const APP = `
import Koa from 'koa'
import { dynacode } from '${join(ROOT, 'lib', 'index.ts')}'

const source = { fetch: async () => ({ bytes: Buffer.from('{"domains":[]}') }) }
const dyna = dynacode({ source, logger: false })
new Koa().use(dyna)
dyna.ready().then(({ from }) => dyna.close().then(() => console.log(from)))
`

let folder: string
// Inside the checkout, so that packages that stay outside of the bundle are found.
beforeAll(() => {
  mkdirSync(join(ROOT, '.reports'), { recursive: true })
  folder = mkdtempSync(join(ROOT, '.reports', 'bundling-'))
  writeFileSync(join(folder, 'app.ts'), APP)
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

async function run(name: string, options: BuildOptions): Promise<string> {
  const outfile = join(folder, name)
  await build({ entryPoints: [join(folder, 'app.ts')], outfile, bundle: true, platform: 'node', ...options })
  return execFileSync(process.execPath, [outfile], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
}

test.each([
  ['to an ES module, with the banner', 'banner.mjs', { format: 'esm', banner: { js: BANNER } }],
  ['to an ES module, without the packages', 'external.mjs', { format: 'esm', packages: 'external' }],
  ['to CommonJS', 'plain.cjs', { format: 'cjs' }],
] as [string, string, BuildOptions][])('an app that esbuild bundles %s starts', async (_, name, options) => {
  expect(await run(name, options)).toBe('network\n')
})

test('without the banner it ends as the page says', async () => {
  await expect(run('plain.mjs', { format: 'esm' })).rejects.toThrow(/Dynamic require of "[\w:]+" is not supported/)
})

test('the page has one banner, for the command line and for a build script', () => {
  expect(BANNER).toContain('createRequire')
  expect(PAGE).toContain(`banner: { js: ${JSON.stringify(BANNER)} }`)
})
