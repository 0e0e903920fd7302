import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { describe, expect, onTestFinished, test } from 'vitest'
import { createDocumentApi } from '../../lib/tools/document-api.ts'
import { callCommand } from '../fixtures/command-line.ts'
import { makeFolder, writeFiles } from '../fixtures/plugin-folder.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const MANIFEST = { domains: [{ name: '^a$', plugins: [{ name: 'hello', phase: 'content', file: 'hello.js' }] }] }

declare const served: { domains: { plugins: { code: string }[] }[] }

/** Starts the command, and hands out its lines one after the other. */
function start(...words: readonly string[]) {
  const tsx = import.meta.resolve('tsx')
  const child = spawn(process.execPath, ['--import', tsx, join(ROOT, 'lib', 'cli', 'main.ts'), 'serve', ...words])
  onTestFinished(() => void child.kill('SIGKILL'))
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  // biome-ignore lint/suspicious/noExplicitAny: each test reads what it asks for
  const next = async (): Promise<any> => JSON.parse((await lines.next()).value ?? '{}')
  return { child, next }
}

describe('dynacode serve', () => {
  test('serves the folder, checks it on every save, and answers who waits at once', async () => {
    const folder = makeFolder()
    writeFiles(folder, { 'dynacode.json': MANIFEST, 'hello.js': "say('hi')" })
    const { child, next } = start(folder, '--port', '0', '--json')
    const { url } = await next()
    expect(await next()).toMatchObject({ plugins: 1, errors: 0 })
    const first = await fetch(url)
    const etag = first.headers.get('etag') as string
    expect(((await first.json()) as typeof served).domains[0]?.plugins[0]?.code).toBe("say('hi')")

    const waited = fetch(url, { headers: { 'If-None-Match': etag, Prefer: 'wait=30' } })
    writeFiles(folder, { 'hello.js': "sayy('hi')" })
    expect(await next()).toMatchObject({ errors: 1, findings: [{ rule: 'unknown-name', file: 'hello.js' }] })
    const second = await waited
    expect(second.status).toBe(200)
    expect(((await second.json()) as typeof served).domains[0]?.plugins[0]?.code).toBe("sayy('hi')")

    writeFiles(folder, { 'dynacode.json': '{' })
    expect((await next()).error).toMatch(/dynacode\.json:1:2: expected/)
    expect((await fetch(url)).status).toBe(200)

    child.kill('SIGINT')
    expect(await once(child, 'exit')).toEqual([0, null])
  })
})

describe('the API of dynacode serve', () => {
  async function listen() {
    const api = createDocumentApi()
    const server = createServer(api.listener).listen(0, '127.0.0.1')
    await once(server, 'listening')
    onTestFinished(() => {
      server.closeAllConnections()
      server.close()
    })
    return { api, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/` }
  }

  test('has no document before there is one, and is not to be written to', async () => {
    const { url } = await listen()
    expect((await fetch(url)).status).toBe(503)
    expect((await fetch(url, { method: 'POST' })).status).toBe(405)
  })

  test('says 304 for what did not change, at once or when the time is over', async () => {
    const { api, url } = await listen()
    api.publish(Buffer.from('{}'))
    const etag = (await fetch(url)).headers.get('etag') as string
    for (const prefer of ['', 'wait=1']) {
      const { status } = await fetch(url, { headers: { 'If-None-Match': etag, Prefer: prefer } })
      expect(status).toBe(304)
    }
  })
})

describe('dynacode serve fails with one sentence and 2', () => {
  test('for what is no folder, no port, or taken', async () => {
    const folder = makeFolder()
    writeFiles(folder, { 'dynacode.json': { domains: [] }, 'a.json': { domains: [] } })
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    onTestFinished(() => void server.close())
    const taken = String((server.address() as AddressInfo).port)
    for (const [words, message] of [
      [[join(folder, 'none')], /there is no such file or folder$/],
      [[join(folder, 'a.json')], /expected a folder with a dynacode\.json, got a document$/],
      [[folder, '--port', 'x'], /--port: expected a port, got x$/],
      [[folder, '--port', taken], /: the port is taken$/],
    ] as const) {
      const { exit_code, told, output } = await callCommand('serve', ...words)
      expect({ exit_code, output }).toEqual({ exit_code: 2, output: '' })
      expect(told).toMatch(message)
    }
  })
})
