import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { messageOf } from '../errors.ts'
import { countFindings } from '../tools/finding.ts'
import type { AddCommand, CommonOptions } from './command.ts'
import { Failure } from './failure.ts'
import { readInput } from './input.ts'
import { describeCounts, showFindings } from './show/findings.ts'
import type { Terminal } from './show/terminal.ts'

interface ServeOptions extends CommonOptions {
  readonly port: string
  readonly host: string
  readonly globals?: readonly string[]
}

/** Adds `serve`. */
export const addServe: AddCommand = (program, terminal, finish) => {
  program
    .command('serve')
    .summary('serve a folder as the API, while plugins are being written')
    .description('Serves a folder as the API, and checks it on every save. Ends with Ctrl-C.')
    .argument('<folder>', 'a folder with a dynacode.json')
    .option('-p, --port <number>', 'the port; 0: one that is free', '9090')
    .option('--host <address>', 'the address', '127.0.0.1')
    .option('--globals <names...>', "the app's own names that plugins may use")
    .action(async (folder: string, _: unknown, command) => {
      await serve(folder, command.optsWithGlobals(), terminal)
      finish(0)
    })
}

async function serve(folder: string, options: ServeOptions, terminal: Terminal): Promise<void> {
  const { port, host, globals, json } = options
  if (!/^\d{1,5}$/.test(port) || Number(port) > 65_535) throw new Failure(`--port: expected a port, got ${port}`)
  const { manifest } = await readInput(folder)
  if (manifest === undefined) throw new Failure(`${folder}: expected a folder with a dynacode.json, got a document`)
  const { folder_source } = await import('../sources/folder/source.ts')
  const { createDocumentApi } = await import('../tools/document-api.ts')
  const { inspectDocument } = await import('../tools/inspect-document.ts')
  const api = createDocumentApi()
  const closing = new AbortController()
  const source = folder_source(folder)

  async function look(): Promise<void> {
    try {
      const fetched = await source.fetch(closing.signal, undefined)
      if (fetched.unchanged) return
      api.publish(fetched.bytes)
      const { found, plugins } = await inspectDocument(await readInput(folder), globals)
      const counts = countFindings(found)
      if (json) {
        terminal.print(JSON.stringify({ plugins, ...counts, findings: found.map(({ finding }) => finding) }))
        return
      }
      showFindings(found, folder, terminal.print, terminal)
      terminal.print(
        `${describeTime()} ${plugins} ${plugins === 1 ? 'plugin' : 'plugins'}: ${describeCounts(found, terminal)}`,
      )
    } catch (error) {
      // What was served before is served on.
      if (!closing.signal.aborted) tell(messageOf(error))
    }
  }

  function tell(message: string): void {
    if (json) terminal.print(JSON.stringify({ error: message }))
    else terminal.print(`${describeTime()} ${terminal.paint('red', 'error:')} ${message}`)
  }

  const server = await listen(createServer(api.listener), Number(port), host)
  const url = `http://${host.includes(':') ? `[${host}]` : host}:${(server.address() as AddressInfo).port}/plugins.json`
  terminal.print(json ? JSON.stringify({ url }) : `serving ${folder} at ${url}`)
  const unwatch = source.watch?.(() => void look())
  void look()
  await ended()
  unwatch?.()
  closing.abort()
  server.close()
  server.closeAllConnections()
}

async function listen(server: Server, port: number, host: string): Promise<Server> {
  try {
    server.listen(port, host)
    await once(server, 'listening')
    return server
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    const what = code === 'EADDRINUSE' ? 'port already in use' : code === 'EACCES' ? 'no permission' : messageOf(cause)
    throw new Failure(`${host}:${port}: ${what}`, 2, cause)
  }
}

/** Resolves when the process is asked to end. */
function ended(): Promise<unknown> {
  return Promise.race(['SIGINT', 'SIGTERM'].map((signal) => once(process, signal)))
}

function describeTime(): string {
  return new Date().toTimeString().slice(0, 8)
}
