// Starts the two processes of the quick start, forwards what they print, and ends them.
// Environment: API_PORT (9090), APP_PORT (8080), PLUGINS_FOLDER; port 0 is any free one.
import { type ChildProcess, fork } from 'node:child_process'
import { join, relative } from 'node:path'
import { createInterface } from 'node:readline'
import { styleText } from 'node:util'
import { composeGreeting } from './greeting.ts'

type Name = 'api' | 'app'

const OWN_FOLDER = fromHere(join(import.meta.dirname, 'plugins'))
const { API_PORT = '9090', APP_PORT = '8080', PLUGINS_FOLDER: folder = OWN_FOLDER } = process.env
/** A process that has not ended by then, once asked to, is ended. */
const PATIENCE_MS = 3000

const colourful = process.stdout.isTTY && process.stdout.hasColors()
const colour = (format: 'cyan' | 'magenta' | 'red' | 'bold', text: string) =>
  colourful ? styleText(format, text) : text
const prefixes = { api: colour('cyan', '[api]'), app: colour('magenta', '[app]') }

const running = new Map<Name, ChildProcess>()
let stopping = false

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => stop(0))
// The output's reader may end first, as in `npm run quick-start | head`.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => stop(0))
// npm hands signals to a shell, and not every shell hands them on.
if (process.env.npm_lifecycle_event !== undefined) endWith(process.ppid)

start('api', [API_PORT, folder], (api_port) => {
  const api_uri = `http://127.0.0.1:${api_port}/plugins.json`
  start('app', [api_uri, APP_PORT], (app_port) => {
    const app = { uri: `http://127.0.0.1:${app_port}/`, pid: running.get('app')?.pid }
    const api = { uri: api_uri, pid: running.get('api')?.pid }
    console.log(composeGreeting({ app, api, folder }, (text) => colour('bold', text)))
  })
})

function start(name: Name, args: string[], listening: (port: number) => void): void {
  const child = fork(join(import.meta.dirname, `${name}.ts`), args, { stdio: ['ignore', 'pipe', 'pipe', 'ipc'] })
  running.set(name, child)
  let port = 0
  if (child.stdout) createInterface(child.stdout).on('line', (line) => console.log(prefixes[name], line))
  if (child.stderr) {
    createInterface(child.stderr).on('line', (line) => console.error(prefixes[name], colour('red', line)))
  }
  child.on('message', (message) => {
    port = (message as { port: number }).port
    if (!stopping) listening(port)
  })
  child.on('close', (code, signal) => {
    running.delete(name)
    if (stopping) return
    // Ctrl-C reached it before it could say that the launcher answers to that.
    if (signal === 'SIGINT') return stop(0)
    if (name === 'api' && port !== 0 && isOnPurpose(code, signal)) return tellOutage(port)
    const who = name === 'api' ? 'API' : 'app'
    console.error(colour('red', `the ${who} ended unexpectedly (${signal ?? `code ${code}`})`))
    stop(1)
  })
}

function stop(code: number): void {
  if (stopping) return
  stopping = true
  process.exitCode = code
  for (const child of running.values()) child.kill()
  setTimeout(() => {
    for (const child of running.values()) child.kill('SIGKILL')
  }, PATIENCE_MS).unref()
}

function endWith(parent: number): void {
  setInterval(() => {
    if (process.ppid !== parent) stop(0)
  }, 500).unref()
}

/** Whether it was a person who ended the process, in order to see what happens. */
function isOnPurpose(code: number | null, signal: string | null): boolean {
  return code === 0 || signal === 'SIGTERM' || signal === 'SIGKILL'
}

function tellOutage(port: number): void {
  const args = folder !== OWN_FOLDER ? [port, folder] : port !== 9090 ? [port] : []
  const words = [fromHere(join(import.meta.dirname, 'api.ts')), ...args].map((word) =>
    String(word).includes(' ') ? `"${word}"` : word,
  )
  console.log('API stopped; the app keeps serving. To start it again, in another terminal:')
  console.log(`  node --import tsx ${words.join(' ')}`)
}

function fromHere(path: string): string {
  return relative(process.cwd(), path) || '.'
}
