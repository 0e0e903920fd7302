import { once } from 'node:events'
import { createServer } from 'node:http'
import { type AddressInfo, Server } from 'node:net'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { createKeys } from '../../lib/cli/keys.ts'
import { DocumentError, dynacode } from '../../lib/index.ts'
import { plugin_app } from '../../lib/testing/index.ts'
import {
  check_document,
  compare_documents,
  document_api,
  pack_document,
  run_request,
  sign_document,
  unpack_document,
} from '../../lib/tools/index.ts'
import { folderOf } from '../fixtures/plugin-folder.ts'

const HOST = 'shop.example.com'
const documentOf = (...plugins: object[]) => ({
  domains: [
    { name: HOST, plugins: plugins.map((plugin, index) => ({ name: `p${index}`, phase: 'access', ...plugin })) },
  ],
})

describe('check_document', () => {
  test('finds what does not compile, in its place', async () => {
    const checked = await check_document(documentOf({ code: 'exit(403)\nexit(' }))
    expect(checked).toMatchObject({ plugins: 1, errors: 1 })
    expect(checked.findings).toContainEqual(expect.objectContaining({ rule: 'compile', plugin: 'p0', line: 2 }))
  })

  test('takes names of the app for known', async () => {
    const document = documentOf({ code: 'void flags.a' })
    expect((await check_document(document)).errors).toBe(1)
    expect((await check_document(document, { globals: ['flags'] })).errors).toBe(0)
  })

  test('tells of expressions that are too much alike for a default instance', async () => {
    const many = (count: number) => ({
      general: { skip_domains: Array.from({ length: count }, (_, n) => `^[a-z]{${n + 1}}$`) },
      domains: [],
    })
    expect(await check_document(many(300))).toMatchObject({ errors: 0 })
    const { findings, errors } = await check_document(many(301))
    expect(errors).toBe(1)
    expect(findings).toContainEqual(
      expect.objectContaining({
        path: 'domains',
        message: expect.stringMatching(/max_alike_expressions\), got 301: .*\{301\}/),
      }),
    )
  })

  test.each(['{', '[]', 'null', '{"domains":1}'])(
    'says of %s what is wrong with it, and does not throw',
    async (text) => {
      const { findings, errors } = await check_document(text)
      expect(errors).toBe(1)
      expect(findings).toMatchObject([{ rule: 'document', severity: 'error', plugin: null }])
    },
  )
})

describe('run_request', () => {
  const document = documentOf({ code: "exit(403, 'no')", when: { ips: '203.0.113.0/24' } })

  test('tells of each plugin and of the response', async () => {
    const blocked = await run_request(document, { url: `http://${HOST}/cart`, ip: '203.0.113.9' })
    expect(blocked.response).toMatchObject({ status: 403, body: 'no' })
    expect(blocked.plugins).toMatchObject([{ plugin: 'p0', outcome: 'ran' }])
    const passed = await run_request(document, { url: `http://${HOST}/cart` }, { app: 'mine' })
    expect(passed.response).toMatchObject({ status: 200, body: 'mine' })
    expect(passed.plugins).toMatchObject([{ outcome: 'skipped', reason: expect.stringContaining('when.ips') }])
  })

  test('sends method, headers and body', async () => {
    const echo = documentOf({
      phase: 'content',
      code: 'say([ctx.method, ctx.get("x-a"), ctx.get("content-length")].join(" "))',
    })
    const request = { method: 'POST', url: `http://${HOST}/`, headers: { 'X-A': ['1', '2'] }, body: 'four' }
    expect((await run_request(echo, request)).response.body).toBe('POST 1, 2 4\n')
  })

  test('takes no port, and lets large bodies through both ways', async () => {
    const listen = vi.spyOn(Server.prototype, 'listen')
    onTestFinished(() => listen.mockRestore())
    const echo = documentOf({
      phase: 'content',
      code: `const { buffer } = process.getBuiltinModule('node:stream/consumers')
        ctx.body = [ctx.ip, ctx.secure, (await buffer(ctx.req)).toString()].join()`,
    })
    const body = 'x'.repeat(3_000_000)
    const { response } = await run_request(echo, { method: 'POST', url: `http://${HOST}/`, body })
    expect(response.body).toBe(`127.0.0.1,false,${body}`)
    expect(listen).not.toHaveBeenCalled()
  })

  test('ends where a response breaks off', { timeout: 20_000 }, async () => {
    const document = documentOf({ phase: 'content', code: "ctx.res.write('half'); ctx.res.destroy()" })
    await expect(run_request(document, { url: `http://${HOST}/` })).rejects.toThrow()
  })

  test.each([
    [{ url: 'shop' }, 'url'],
    [{ url: 'ftp://shop' }, 'url'],
    [{ url: `http://${HOST}/`, method: 'get' }, 'method'],
    [{ url: `http://${HOST}/`, ip: 'here' }, 'ip'],
    [{ url: `http://${HOST}/`, headers: { 'a b': '1' } }, 'headers'],
    [{ url: `http://${HOST}/`, headers: { a: '1\r\nb: 2' } }, 'headers.a'],
    [{ url: `http://${HOST}/`, hosts: 1 }, 'hosts'],
  ])('refuses %j as a request', async (request, option) => {
    await expect(run_request(document, request as never)).rejects.toMatchObject({
      code: 'ERR_DYNACODE_OPTION',
      option: expect.stringMatching(`^${option}`),
    })
  })

  test('says what a URL and an address look like', async () => {
    await expect(run_request(document, { url: 'shop' })).rejects.toThrow('url: expected a URL that begins with http://')
    const request = { url: `http://${HOST}/`, ip: 'here' }
    await expect(run_request(document, request)).rejects.toThrow('ip: expected an address of IPv4 or IPv6')
  })

  test('rejects where the document is none', async () => {
    await expect(run_request('{}', { url: `http://${HOST}/` })).rejects.toThrow(DocumentError)
  })
})

test('compare_documents tells what is different', () => {
  const [before, after] = [documentOf({ code: 'exit(403)' }), documentOf({ code: 'exit(404)' })]
  expect(compare_documents(before, JSON.stringify(after))).toMatchObject([
    { kind: 'changed', plugin: 'p0', code: { before: 'exit(403)', after: 'exit(404)' } },
  ])
  expect(compare_documents(before, before)).toEqual([])
  expect(() => compare_documents('{', after)).toThrow(DocumentError)
})

test('unpack_document makes a folder that is the same document', async () => {
  const files = unpack_document(documentOf({ code: "exit(403, 'no')" }))
  const folder = folderOf(Object.fromEntries(files))
  const app = await plugin_app(folder)
  expect(app.dyna.status().plugins).toMatchObject([{ name: 'p0', state: 'live' }])
  expect(files.get('p0.js')).toBe("exit(403, 'no')")
})

describe('pack_document', () => {
  const pack = (manifest: object, others: Record<string, string> = {}) =>
    pack_document(new Map(Object.entries({ 'dynacode.json': JSON.stringify(manifest), ...others })))
  const naming = (file: string) => ({ domains: [{ name: '*', plugins: [{ name: 'p', phase: 'access', file }] }] })

  test('makes the same document again of what unpack_document makes', async () => {
    const plugin = { name: 'a', phase: 'access' }
    const variants = [{ name: 'old', percent: 50, code: 'exit(403)' }]
    const document = {
      general: {},
      domains: [
        {
          name: '*',
          plugins: [
            { ...plugin, code: 'say(1)' },
            { name: 'b', phase: 'log', variants },
          ],
        },
      ],
    }
    expect(await pack_document(unpack_document(document))).toBe(JSON.stringify(document))
  })

  test('takes files in folders, TypeScript without its types, and leaves out what is not named', async () => {
    const files = { 'access/p.ts': 'const a: number = 403\nexit(a)', 'README.md': '' }
    expect(JSON.parse(await pack(naming('./access/p.ts'), files)).domains[0].plugins[0]).toEqual({
      name: 'p',
      phase: 'access',
      code: 'const a         = 403\nexit(a)',
    })
  })

  test.each([
    ['a file that is not there', naming('p.js'), {}, /there is no file "p.js"/],
    ['one outside', naming('../p.js'), { '../p.js': '1' }, /expected a file inside the folder/],
    ['TypeScript with more than types', naming('p.ts'), { 'p.ts': 'enum A { B }' }, /p\.ts:1/],
    ['a document that would be refused', { domains: 1 }, {}, /domains/],
  ])('refuses %s', async (_, manifest, files, message) => {
    await expect(pack(manifest, files)).rejects.toThrow(message)
    await expect(pack(manifest, files)).rejects.toBeInstanceOf(DocumentError)
  })

  test('refuses what has no manifest, and one that is no JSON', async () => {
    await expect(pack_document(new Map())).rejects.toThrow('expected a file dynacode.json')
    await expect(pack_document(new Map([['dynacode.json', '{']]))).rejects.toThrow('dynacode.json:1:2')
  })
})

describe('sign_document', () => {
  const general = { version: 1, expires: new Date(Date.now() + 60_000).toISOString() }

  test('makes what an instance with the key takes', async () => {
    const { private_key, trusted_keys } = await createKeys('EdDSA', 'test')
    const document = { general, ...documentOf({ code: 'exit(403)' }) }
    const bytes = Buffer.from(await sign_document(document, private_key as never))
    const dyna = dynacode({ source: { fetch: async () => ({ bytes }) }, trusted_keys: trusted_keys as never })
    onTestFinished(() => dyna.close())
    await dyna.ready()
    expect(dyna.status()).toMatchObject({ version: 1, plugins: [{ state: 'live' }] })
  })

  test('refuses what no instance would take, and shows nothing of the key', async () => {
    const { private_key } = await createKeys('EdDSA', 'test')
    await expect(sign_document(documentOf(), private_key as never)).rejects.toThrow('general.version')
    const broken = { ...private_key, alg: 'EdDSA', x: 'AAAA' }
    const refused = sign_document({ general, ...documentOf() }, broken as never)
    await expect(refused).rejects.toThrow(/^cannot sign with this key: expected one for EdDSA or ES256$/)
  })
})

describe('document_api', () => {
  async function startApi() {
    const api = document_api()
    const server = createServer(api.listener).listen(0, '127.0.0.1')
    await once(server, 'listening')
    onTestFinished(() => {
      server.close()
      server.closeAllConnections()
    })
    return { api, uri: `http://127.0.0.1:${(server.address() as AddressInfo).port}/` }
  }
  const textOf = (version: number) => Buffer.from(JSON.stringify({ general: { version }, domains: [] }))

  test('answers with the document, 304 to who has it, and 503 before there is one', async () => {
    const { api, uri } = await startApi()
    expect((await fetch(uri)).status).toBe(503)
    api.publish(textOf(1))
    const first = await fetch(uri)
    expect({ status: first.status, body: await first.text() }).toEqual({ status: 200, body: textOf(1).toString() })
    const etag = first.headers.get('etag') as string
    expect((await fetch(uri, { headers: { 'if-none-match': etag } })).status).toBe(304)
    expect((await fetch(uri, { method: 'POST' })).status).toBe(405)
  })

  test('has what is published live in an instance that waits', async () => {
    const { api, uri } = await startApi()
    api.publish(textOf(1))
    const dyna = dynacode({ plugin_api_uri: uri, plugin_api_wait: 30 })
    onTestFinished(() => dyna.close())
    await dyna.ready()
    api.publish(textOf(2))
    await vi.waitFor(() => expect(dyna.status().version).toBe(2), { timeout: 5000 })
  })
})

describe('fields that are not known', () => {
  const fieldsOf = async (document: object) =>
    (await check_document(document as never)).findings
      .filter(({ rule }) => rule === 'unknown-field')
      .map(({ path, message, severity, plugin, domain }) => [path, message, severity, plugin, domain])
  const ignored = 'unknown field: dynacode ignores it. Begin its name with `x-` if it is yours'

  test('are warned of, at each level', async () => {
    const plugin = { name: 'p', phase: 'access', code: '', description: 'a', params: { any: 1 }, 'x-own': 1 }
    const document = {
      $schema: 'a',
      owner: 'a',
      general: { owner: 'a' },
      domains: [{ name: 'a.com', owner: 'a', plugins: [plugin, 7] }],
      plugins: [{ id: 7, name: 's', phase: 'access', code: '', owner: 'a' }],
    }
    expect(await fieldsOf(document)).toEqual([
      ['owner', ignored, 'warning', null, null],
      ['general.owner', ignored, 'warning', null, null],
      ['domains[0].owner', ignored, 'warning', null, 'a.com'],
      ['domains[0].plugins[0].description', ignored, 'warning', 'p', 'a.com'],
      ['plugins[0].owner', ignored, 'warning', 's', null],
    ])
  })

  test('that are misspelled are errors, once however many domains refer to the plugin', async () => {
    const { findings } = await check_document({
      domains: [
        { name: 'a.com', plugins: [7, { name: 'p', phase: 'access', code: '', fiel: 'a', parms: {}, prams: {} }] },
        { name: 'b.com', plugins: [7] },
      ],
      plugins: [{ id: 7, name: 's', phase: 'access', code: '', whne: {} }],
    })
    expect(findings.filter(({ rule }) => rule !== 'host-matching').map(({ rule, path }) => [rule, path])).toEqual([
      ['document', 'plugins[0].whne'],
      ['document', 'domains[0].plugins[1].parms'],
      ['unknown-field', 'domains[0].plugins[1].fiel'],
      ['unknown-field', 'domains[0].plugins[1].prams'],
    ])
  })
})
