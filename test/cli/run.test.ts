import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { createProxy } from '../../lib/cli/proxy.ts'
import type { PluginTrace } from '../../lib/tools/request-trace.ts'
import { runRequest } from '../../lib/tools/run-request.ts'
import { callCommand, callJson } from '../fixtures/command-line.ts'
import { makeFolder, writeFiles } from '../fixtures/plugin-folder.ts'

const HOST = 'shop.example'

function writeDocument(plugins: readonly object[], more: object = {}): string {
  const folder = makeFolder()
  writeFiles(folder, { 'a.json': { domains: [{ name: HOST, plugins }], ...more } })
  return join(folder, 'a.json')
}

/** How one plugin fared. */
async function trace(plugin: object, words: readonly string[] = [], url = `http://${HOST}/`): Promise<PluginTrace> {
  const path = writeDocument([{ name: 'p', phase: 'access', code: 'log(1)', ...plugin }])
  const { plugins } = await callJson('run', path, 'GET', url, ...words)
  return plugins[0]
}

describe('dynacode run', () => {
  test('tells phase by phase what became of each plugin', async () => {
    const path = writeDocument([
      { name: 'cors', phase: 'header_filter', code: "ctx.set('X-A', 'b')" },
      { name: 'old paths', phase: 'rewrite', code: "ctx.path = ctx.path.replace('/old', '')" },
      { name: 'cart', phase: 'access', code: 'exit(401)', when: { paths: '/cart' } },
      { name: 'loud', phase: 'body_filter', code: 'return String(chunk).toUpperCase()' },
      { name: 'late', phase: 'log', code: 'await new Promise((done) => setTimeout(done, 20))' },
    ])
    const { exit_code, output } = await callCommand('run', path, 'get', `http://${HOST}/old/hello`)
    expect(exit_code).toBe(0)
    const lines = output
      .replaceAll(/[\d.]+ ms/g, 'n ms')
      .replace(/^date: .*$/m, 'date: now')
      .split('\n')
    expect(lines).toEqual([
      `GET http://${HOST}/old/hello`,
      'rewrite',
      `  ran     old paths (${HOST}, n ms)`,
      '          url: /old/hello → /hello',
      'access',
      `  skipped cart (${HOST}): when.paths does not hold: "/cart"`,
      'header_filter',
      `  ran     cors (${HOST}, n ms)`,
      '          header x-a: none → b',
      'body_filter',
      `  ran     loud (${HOST}, n ms)`,
      'log',
      `  ran     late (${HOST}, n ms)`,
      '',
      '200 OK (n ms)',
      'content-type: text/plain; charset=utf-8',
      'content-length: 8',
      'x-a: b',
      'date: now',
      'connection: close',
      '',
      'THE APP',
    ])
  })

  test.each([
    [{ enabled: false }, 'it is disabled'],
    [{ starts_at: '2031-01-01T00:00:00Z' }, 'it starts at 2031-01-01T00:00:00.000Z'],
    [{ expires_at: '2029-01-01T00:00:00Z' }, 'it expired at 2029-01-01T00:00:00.000Z'],
    [{ when: { methods: ['POST'] } }, 'when.methods does not hold: ["POST"]'],
    [{ when: { not: { ips: '10.0.0.0/8' } } }, 'when.not.ips holds: "10.0.0.0/8"'],
    [{ rollout: { percent: 0 } }, /^its rollout by ip is for 0 percent/],
    [{ rollout: { percent: 0, by: 'random' } }, 'its rollout is by chance'],
  ])('says why a plugin is skipped: %j', async (fields, reason) => {
    const words = ['--ip', '10.1.2.3', '--at', '2030-01-01T00:00:00Z']
    const skipped = await trace(fields, words)
    expect(skipped.outcome).toBe('skipped')
    expect(skipped.reason).toMatch(reason)
    expect((await trace({}, words)).outcome).toBe('ran')
  })

  test('says why a host has no plugins', async () => {
    expect(await trace({}, [], 'http://other.example/')).toMatchObject({
      outcome: 'skipped',
      reason: `the host other.example does not match ${HOST}`,
    })
    for (const [general, reason] of [
      [{ status: 'off' }, 'the document is disabled (general.status)'],
      [{ skip_domains: [HOST] }, `the host ${HOST} is among skip_domains`],
    ]) {
      const path = writeDocument([{ name: 'p', phase: 'access', code: 'exit(403)' }], { general })
      const { plugins, response } = await callJson('run', path, 'GET', `http://${HOST}/`)
      expect(plugins).toMatchObject([{ outcome: 'skipped', reason }])
      expect(response.status).toBe(200)
    }
  })

  test('says which plugin ended the request, and that others did not come to it', async () => {
    const path = writeDocument([
      { name: 'first', phase: 'access', code: "if (ctx.get('x-token') !== 'a') exit(401)" },
      { name: 'second', phase: 'access', code: 'log(1)' },
      { name: 'filter', phase: 'header_filter', code: 'ctx.status = 418' },
    ])
    const { plugins, response } = await callJson('run', path, 'GET', `http://${HOST}/`)
    expect(plugins).toMatchObject([
      { plugin: 'first', changes: ['ended the request with 401'] },
      { plugin: 'second', outcome: 'skipped', reason: 'the request had been answered by then' },
      { plugin: 'filter', changes: expect.arrayContaining(['status: 401 → 418']) },
    ])
    expect(response.status).toBe(418)
    const passed = await callJson('run', path, 'GET', `http://${HOST}/`, '-H', 'X-Token: a', '-H', 'Accept: text/html')
    expect(passed.plugins).toMatchObject([{ changes: [] }, { outcome: 'ran' }, { outcome: 'ran' }])
  })

  test('says what failed, was refused or ran as a shadow, and ends with 1', async () => {
    const path = writeDocument([
      { name: 'open', phase: 'rewrite', code: 'null.x' },
      { name: 'closed', phase: 'access', code: 'null.x', on_failure: 'closed' },
      { name: 'broken', phase: 'content', code: 'say(1' },
      { name: 'shadow', phase: 'header_filter', mode: 'shadow', code: "ctx.set('x-b', 'c')" },
    ])
    const { plugins, response } = await callJson('run', path, 'GET', `http://${HOST}/`)
    expect(plugins).toMatchObject([
      { plugin: 'open', outcome: 'failed', reason: expect.stringMatching(/null.*; the request goes on$/) },
      { plugin: 'closed', outcome: 'failed', reason: expect.stringMatching(/fails closed: 503$/) },
      { plugin: 'broken', outcome: 'refused', reason: expect.stringMatching(/^plugin "broken"/) },
      { plugin: 'shadow', outcome: 'shadow', changes: ['set x-b: c'] },
    ])
    expect(response.status).toBe(503)
    expect((await callCommand('run', path, 'GET', `http://${HOST}/`)).exit_code).toBe(1)
  })

  test.each([
    ['names.mjs', "export const greet = (name) => 'hello ' + name"],
    ['object.mjs', "export default { greet: (name) => 'hello ' + name }"],
    ['common.cjs', "module.exports = { greet: (name) => 'hello ' + name }"],
  ])("finds the app's own names in %s", async (file, code) => {
    const path = writeDocument([{ name: 'p', phase: 'content', code: "say(greet('you'))" }])
    const folder = makeFolder()
    writeFiles(folder, { [file]: code })
    const words = ['run', path, 'GET', `http://${HOST}/`]
    expect((await callJson(...words, '--globals-from', join(folder, file))).response.body).toBe('hello you\n')
    expect((await callJson(...words)).plugins[0].outcome).toBe('failed')
  })

  test.each([
    ['no such file', undefined],
    ['expected a module that exports the names that plugins may use', ''],
    ['no luck', "throw new Error('no luck')"],
  ])('says what is wrong with the module of such names: %s', async (message, code) => {
    const folder = makeFolder()
    if (code !== undefined) writeFiles(folder, { 'names.mjs': code })
    const names = join(folder, 'names.mjs')
    const path = writeDocument([])
    const { exit_code, errors } = await callCommand('run', path, 'GET', `http://${HOST}/`, '--globals-from', names)
    expect({ exit_code, errors }).toEqual({
      exit_code: 2,
      errors: expect.stringMatching(`^error: ${names}: ${message}[^\n]*$`),
    })
  })

  test('asks a real server behind the plugins', async () => {
    const server = createServer(async (request, response) => {
      const body = await text(request)
      response.writeHead(201, { 'X-Server': 'real' }).end(`${request.method} ${request.url} ${body}`)
    })
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
    onTestFinished(() => void server.close())
    const against = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const path = writeDocument([{ name: 'p', phase: 'rewrite', code: "ctx.path = '/new'" }])
    const { response } = await callJson(
      'run',
      path,
      'POST',
      `http://${HOST}/old?a=1`,
      '-d',
      'hello',
      '--against',
      against,
    )
    expect(response).toMatchObject({ status: 201, headers: { 'x-server': 'real' }, body: 'POST /new?a=1 hello' })
  })
})

describe('a server behind the plugins that does not answer in time', () => {
  test.each([
    ['sends nothing', () => undefined],
    ['sends half of its answer', (response: ServerResponse) => void response.write('half')],
  ])('%s: that is said in a sentence', async (_what, begin) => {
    const server = createServer((_request, response) => begin(response))
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
    onTestFinished(() => {
      server.closeAllConnections()
      server.close()
    })
    const failed = vi.fn()
    const app = createProxy(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, failed, 50)
    await runRequest('{"domains":[]}', { method: 'GET', url: `http://${HOST}/` }, { app }).catch(() => undefined)
    await vi.waitFor(() => expect(failed.mock.calls).toEqual([['no answer within 0.05 s']]))
  })
})

describe('dynacode run fails with one sentence and 2', () => {
  test.each([
    [['GTE', `http://${HOST}/`], /unknown method "GTE". Did you mean `GET`\?/],
    [['GET', 'shop'], /expected a URL such as .*, got "shop"/],
    [['GET', 'ftp://shop/'], /expected a URL that begins with http/],
    [
      ['GET', `http://${HOST}/`, '-H', 'nothing'],
      /--header: expected a header such as "Accept: text\/html", got "nothing"/,
    ],
    [['GET', `http://${HOST}/`, '--at', 'noon'], /--at: expected a time in ISO 8601, got noon/],
    [['GET', `http://${HOST}/`, '--against', 'http://127.0.0.1:1'], /^error: http:\/\/127\.0\.0\.1:1: \S/],
  ])('for %j', async (words, message) => {
    const { exit_code, errors, output } = await callCommand('run', writeDocument([]), ...words)
    expect({ exit_code, output }).toEqual({ exit_code: 2, output: '' })
    expect(errors).toMatch(message)
  })

  test('for what is no document', async () => {
    const folder = makeFolder()
    writeFiles(folder, { 'a.json': '{}' })
    const { exit_code, errors } = await callCommand('run', join(folder, 'a.json'), 'GET', `http://${HOST}/`)
    expect({ exit_code, errors }).toEqual({
      exit_code: 2,
      errors: expect.stringMatching(/a\.json: domains: expected an array/),
    })
  })
})
