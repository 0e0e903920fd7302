import fs from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import ts from 'typescript'
import { describe, expect, onTestFinished, test } from 'vitest'
import { trustedKeysSchema } from '../../lib/validation/trusted-keys.ts'
import { createInstance } from '../fixtures/instance.ts'
import { createSigner } from '../fixtures/signing.ts'
import { codeIn, readDocsPage, tablesOf } from './pages.ts'

const page = readDocsPage('trust')

describe('docs/trust.md', () => {
  test('what its snippets sign is accepted with the key that they make, and nothing else is', async () => {
    const folder = fs.mkdtempSync(join(tmpdir(), 'dynacode-docs-'))
    onTestFinished(() => fs.rmSync(folder, { recursive: true }))
    const read = (name: string) => fs.readFileSync(join(folder, name), 'utf8')
    const document = { domains: [{ name: '*', plugins: [{ name: 'hi', phase: 'content', code: `say('hi')` }] }] }
    fs.writeFileSync(join(folder, 'document.json'), JSON.stringify(document))
    for (const { text } of page.blocks.filter(({ marks }) => marks.has('sign'))) await run(text, folder)

    let served = read('plugins.json')
    const source = { fetch: async () => ({ bytes: Buffer.from(served) }) }
    const trusted_keys = JSON.parse(read('trusted-keys.json'))
    const dyna = createInstance({ source, trusted_keys, plugin_api_poll_at_init: false })
    expect(await dyna.refresh()).toMatchObject({ updated: true, plugins: 1 })
    expect(fs.statSync(join(folder, 'private.json')).mode & 0o777).toBe(0o600)

    await run(page.blocks.findLast(({ marks }) => marks.has('sign'))?.text ?? '', folder)
    const [, payload] = /"payload":"([^"]+)"/.exec(served) ?? []
    served = read('plugins.json').replace(/"payload":"[^"]+"/, `"payload":"${payload}"`)
    expect(await dyna.refresh()).toMatchObject({ updated: false, reason: 'untrusted' })
    served = JSON.stringify(document)
    expect(await dyna.refresh()).toMatchObject({ updated: false, reason: 'untrusted' })
    served = read('plugins.json')
    expect(await dyna.refresh()).toMatchObject({ updated: true, plugins: 1 })
  })

  const kinds = tablesOf(page, '`kty`').flatMap(({ rows }) =>
    rows.flatMap(([kty = '', crv = '', algs = '', members = '']) =>
      codeIn(algs).map((alg) => ({ alg, kty: codeIn(kty)[0], crv: codeIn(crv)[0], members: codeIn(members) })),
    ),
  )

  test.each(kinds)('a key for $alg is as its table says', async ({ alg, kty, crv, members }) => {
    const { public_key } = await createSigner(alg as 'EdDSA')
    expect(public_key).toMatchObject({ alg, kty, crv })
    expect(Object.keys(public_key).sort()).toEqual(['alg', 'crv', 'kty', ...members].sort())
    expect(trustedKeysSchema.safeParse({ keys: [public_key] }).success).toBe(true)
  })
})

/** Runs a snippet as a script whose files are those of a folder. */
async function run(text: string, folder: string): Promise<void> {
  const here = {
    readFileSync: (name: string, encoding: 'utf8') => fs.readFileSync(join(folder, name), encoding),
    writeFileSync: (name: string, content: string, options?: fs.WriteFileOptions) =>
      fs.writeFileSync(join(folder, name), content, options),
  }
  const require = createRequire(import.meta.url)
  const { outputText } = ts.transpileModule(text, {
    compilerOptions: { module: ts.ModuleKind.CommonJS, target: ts.ScriptTarget.ES2022 },
  })
  const AsyncFunction = run.constructor as FunctionConstructor
  const script = new AsyncFunction('require', 'exports', outputText)
  await script((name: string) => (name === 'node:fs' ? here : require(name)), {})
}
