import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { createDocumentApi } from '../../lib/tools/document-api.ts'
import { callCommand } from '../fixtures/command-line.ts'
import { makeFolder, writeFiles } from '../fixtures/plugin-folder.ts'

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
      [[join(folder, 'none')], /no such file or folder$/],
      [[join(folder, 'a.json')], /expected a folder with a dynacode\.json, got a document$/],
      [[folder, '--port', 'x'], /--port: expected a port, got x$/],
      [[folder, '--port', taken], /: port already in use$/],
    ] as const) {
      const { exit_code, errors, output } = await callCommand('serve', ...words)
      expect({ exit_code, output }).toEqual({ exit_code: 2, output: '' })
      expect(errors).toMatch(message)
    }
  })
})
