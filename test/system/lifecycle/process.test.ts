import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { text } from 'node:stream/consumers'
import { beforeAll, describe, expect, test } from 'vitest'
import { bundle } from '../../fixtures/app-process.ts'
import { startPluginApi } from '../../fixtures/plugin-api.ts'

/** How long a process may take that has nothing to wait for; its own deadlines are minutes. */
const LONGEST_MS = 60_000

let script: string

beforeAll(async () => {
  script = await bundle(new URL('../../fixtures/lone-process.ts', import.meta.url))
})

/** Runs the lone process to its end; when it does not come to one it is killed, and the test fails. */
async function run(uri: string, mode: 'idle' | 'polling' | 'close' | 'live' | 'two-addresses'): Promise<string> {
  const child = spawn(process.execPath, [script, uri, mode], { stdio: ['ignore', 'pipe', 'pipe'] })
  const killer = setTimeout(() => child.kill('SIGKILL'), LONGEST_MS)
  const [[code, signal], out, err] = await Promise.all([once(child, 'exit'), text(child.stdout), text(child.stderr)])
  clearTimeout(killer)
  expect({ code, signal, err }).toEqual({ code: 0, signal: null, err: '' })
  return out
}

describe('a process with nothing else to do ends by itself', () => {
  test('while a later fetch hangs, on the connection of the one before', async () => {
    const api = await startPluginApi()
    const ports = new Set<number | undefined>()
    api.behave((request, response) => {
      ports.add(request.socket.remotePort)
      if (api.requests.length < 3) response.end('{"domains":[]}')
    })
    expect(await run(api.uri, 'polling')).toBe('idle\n')
    expect([api.requests.length, ports.size]).toEqual([3, 1])
  })

  test('while a fetch hangs that went to the second address of a name', async () => {
    const api = await startPluginApi()
    api.behave(() => undefined)
    expect(await run(api.uri.replace('127.0.0.1', 'plugins.test'), 'two-addresses')).toBe('idle\n')
    expect(api.requests).toHaveLength(1)
  })

  test('while the server never says a word', async () => {
    const server = createServer(() => undefined).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as { port: number }
    try {
      // No TLS server: the handshake never comes to an end.
      expect(await run(`https://127.0.0.1:${port}/`, 'idle')).toBe('idle\n')
    } finally {
      server.close()
    }
  })

  test('between polls, with the connection kept open', async () => {
    const api = await startPluginApi()
    expect(await run(api.uri, 'live')).toBe('live from the network\n')
  })

  test('when it is closed, though somebody waits for a refresh', async () => {
    const api = await startPluginApi()
    api.behave(() => undefined)
    expect(await run(api.uri, 'close')).toBe('closed\n')
    await (await api.got(1)).closed
  })
})
