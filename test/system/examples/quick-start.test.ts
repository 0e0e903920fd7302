import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, get, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify, stripVTControlCharacters } from 'node:util'
import { afterEach, describe, expect, test, vi } from 'vitest'
import packageJson from '../../../package.json' with { type: 'json' }

const ROOT = join(import.meta.dirname, '..', '..', '..')
const EXAMPLE = join(ROOT, 'examples', 'quick-start')
const HOST = 'dynamic.local.com'
/** Generous: these are real processes, on machines with other work. */
const PATIENCE = { timeout: 60_000, interval: 25 }

const cleanups: (() => unknown)[] = []

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

/** A copy of the example's plugins that a test may do anything to. */
function copyPlugins() {
  const folder = mkdtempSync(join(tmpdir(), 'dynacode-quick-start-'))
  cleanups.push(() => rmSync(folder, { recursive: true, force: true }))
  cpSync(join(EXAMPLE, 'plugins'), folder, { recursive: true })
  return Object.freeze({
    folder,
    read: (file: string) => readFileSync(join(folder, file), 'utf8'),
    write: (file: string, text: string) => writeFileSync(join(folder, file), text),
    remove: (file: string) => rmSync(join(folder, file)),
  })
}

/** A process that was started, and what it has printed. */
interface Started {
  readonly child: ChildProcess
  readonly pid: number
  readonly output: () => string
  /** Resolves with the exit code, or the name of the signal that ended it. */
  readonly ended: Promise<number | string>
}

function startProcess(args: readonly string[], env: Record<string, string> = {}): Started {
  const child = spawn(process.execPath, args, {
    cwd: ROOT,
    // A group of its own, as a terminal would give it.
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  })
  let text = ''
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (chunk) => (text += chunk))
  const ended = once(child, 'close').then(([code, signal]) => code ?? signal)
  const pid = child.pid!
  cleanups.push(() => {
    if (child.exitCode === null && child.signalCode === null) process.kill(-pid, 'SIGKILL')
    return ended
  })
  return { child, pid, output: () => text, ended }
}

/** Starts what `npm run quick-start` starts. */
function launch(env: Record<string, string> = {}): Started {
  const [node, ...args] = packageJson.scripts['quick-start'].split(' ')
  expect(node).toBe('node')
  return startProcess(args, { API_PORT: '0', APP_PORT: '0', ...env })
}

/** Starts the quick start on a copy of its plugins, and waits until they are live. */
async function quickStart(env: Record<string, string> = {}) {
  const plugins = copyPlugins()
  const started = launch({ PLUGINS_FOLDER: plugins.folder, ...env })
  await sees(started, /is live/)
  await sees(started, /Ctrl-C ends both/)
  const [, app_uri, app_pid] = /app +(http:\S+) +pid (\d+)/.exec(started.output())!
  const [, api_uri, api_pid] = /plugin API +(http:\S+) +pid (\d+)/.exec(started.output())!
  return {
    ...started,
    plugins,
    api_uri: api_uri!,
    app_uri: app_uri!,
    pids: { api: Number(api_pid), app: Number(app_pid) },
    hello: () => ask(`${app_uri}?token=token`, { host: HOST }),
  }
}

function sees({ output }: Started, pattern: RegExp): Promise<void> {
  return vi.waitFor(() => expect(output()).toMatch(pattern), PATIENCE)
}

function ask(uri: string, headers: Record<string, string> = {}) {
  return new Promise<{ status: number; headers: IncomingHttpHeaders; body: string }>((resolve, reject) => {
    get(uri, { headers, agent: false }, (response) => {
      let body = ''
      response.setEncoding('utf8').on('data', (chunk) => (body += chunk))
      response.on('end', () => resolve({ status: response.statusCode!, headers: response.headers, body }))
      response.on('error', reject)
    }).on('error', reject)
  })
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

const occurrences = (text: string, pattern: RegExp) => [...text.matchAll(pattern)].length
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))
const STACK_TRACE = /^.*\n? +at .+:\d+:\d+/m
const hasCurl = spawnSync('curl', ['--version']).error === undefined

describe('the quick start', () => {
  test.runIf(hasCurl)('prints curl lines that do as they say', async () => {
    // Of the sources, as in a fresh clone, where nothing is built.
    const { output, plugins } = await quickStart({ TSX_TSCONFIG_PATH: join(ROOT, 'tsconfig.json') })
    const lines = output()
      .split('\n')
      .map((line) => line.trim())
    const curls = lines.filter((line) => line.startsWith('curl '))
    const answers = []
    for (const line of curls) answers.push((await promisify(execFile)('sh', ['-c', `${line} -s`])).stdout)

    const [plain, refused, welcome, cookie] = answers
    expect(answers).toHaveLength(4)
    expect(plain).toMatch(/^HTTP\/1.1 200 [\s\S]*\r\n\r\nthe app itself\n$/)
    expect(plain).not.toMatch(/access-control/i)
    expect(refused).toMatch(/^HTTP\/1.1 403 /)
    expect(welcome).toMatch(/^HTTP\/1.1 200 [\s\S]*\r\n\r\nhello world!\n$/)
    expect(welcome).toMatch(/^access-control-allow-origin: \*\r$/im)
    expect(welcome).toMatch(/^set-cookie: superstition=token/im)
    expect(cookie).toMatch(/^HTTP\/1.1 200 [\s\S]*\r\n\r\nhello world!\n$/)
    expect(output()).toContain(`edit ${join(plugins.folder, 'hello.js')}`)
    // No colours: this is no terminal.
    expect(output()).toBe(stripVTControlCharacters(output()))
  })

  test('answers with an edited plugin, goes on with the old one while it is broken, and recovers', async () => {
    const started = await quickStart()
    const { plugins, hello, output } = started
    expect((await hello()).body).toBe('hello world!\n')

    plugins.write('hello.js', `say('hello mars!')`)
    await vi.waitFor(async () => expect((await hello()).body).toBe('hello mars!\n'), PATIENCE)

    plugins.write('hello.js', `// a comment\nsay('hello' 'venus!')\n`)
    await sees(
      started,
      /^\[app\] plugin "dynamic content":2:\d+: .+\n\[app\] {3}its last good version goes on serving$/m,
    )
    expect((await hello()).body).toBe('hello mars!\n')

    plugins.write('hello.js', `say('hello venus!')`)
    await vi.waitFor(async () => expect((await hello()).body).toBe('hello venus!\n'), PATIENCE)
    expect(output()).not.toMatch(STACK_TRACE)
  })

  test('answers 500 to a folder it cannot read, tells it once, and changes nothing for requests', async () => {
    const started = await quickStart()
    const { plugins, hello, output, api_uri } = started
    const manifest = plugins.read('dynacode.json')

    plugins.write('dynacode.json', '{ "domains": [')
    await sees(started, /^\[app\] nothing changes: .+ answered 500/m)
    const unreadable = await ask(api_uri)
    expect(unreadable).toMatchObject({ status: 500, headers: { 'content-type': 'text/plain; charset=utf-8' } })
    expect(unreadable.body).toBe(`${join(plugins.folder, 'dynacode.json')}:1:15: expected a value, got the end\n`)
    // Time for a few polls; there is nothing to wait for but that nothing comes.
    await pause(1500)
    expect(occurrences(output(), /^\[app\] nothing changes/gm)).toBe(1)
    expect(
      output()
        .split('\n')
        .filter((line) => line === `[api] ${unreadable.body.trimEnd()}`),
    ).toHaveLength(1)
    expect(await hello()).toMatchObject({ status: 200, body: 'hello world!\n' })

    plugins.write('dynacode.json', manifest)
    await sees(started, /^\[app\] the plugin API answers again/m)
    expect(output()).not.toMatch(STACK_TRACE)
  })

  test('keeps the last good version of a plugin whose file is missing', async () => {
    const started = await quickStart()
    const { plugins, hello, output, api_uri } = started
    plugins.remove('cors.js')
    await sees(started, /^\[app\] .*there is no file "cors\.js".*\n\[app\] {3}its last good version goes on serving$/m)
    expect(await hello()).toMatchObject({ status: 200, headers: { 'access-control-allow-origin': '*' } })
    expect((await ask(api_uri)).status).toBe(200)
    expect(output()).not.toMatch(STACK_TRACE)
  })

  test('the API serves the document with a strong ETag, and 304 to whoever has it', async () => {
    const { api_uri, plugins } = await quickStart()
    const first = await ask(api_uri)
    const etag = first.headers.etag!
    expect(etag).toMatch(/^"[^"]+"$/)
    expect(first.headers['content-type']).toMatch(/^application\/json/)
    expect(JSON.parse(first.body).domains[0].plugins[1]).toEqual({
      name: 'dynamic content',
      phase: 'content',
      code: plugins.read('hello.js'),
    })
    expect(await ask(api_uri, { 'if-none-match': etag })).toMatchObject({ status: 304, body: '', headers: { etag } })

    plugins.write('hello.js', `say('hello mars!')`)
    const second = await ask(api_uri, { 'if-none-match': etag })
    expect(second.status).toBe(200)
    expect(second.headers.etag).not.toBe(etag)
    expect((await ask(new URL('/other', api_uri).href)).status).toBe(404)
  })

  test('goes on serving when the API is killed, and follows it when it is started again as printed', async () => {
    const started = await quickStart()
    const { output, pids, hello, plugins } = started
    expect(output()).toMatch(new RegExp(`^ +kill ${pids.api}$`, 'm'))
    process.kill(pids.api)
    await sees(started, /^API stopped; the app keeps serving/m)
    await sees(started, /^\[app\] nothing changes: the plugin API cannot be reached/m)
    expect(isAlive(pids.api)).toBe(false)
    expect(await hello()).toMatchObject({ status: 200, body: 'hello world!\n' })

    const [, command] = /^ {2}node (--import tsx .+api\.ts .+)$/m.exec(output())!
    const again = startProcess(command!.split(' '))
    await sees(started, /^\[app\] the plugin API answers again, nothing has changed$/m)
    plugins.write('hello.js', `say('hello again!')`)
    await vi.waitFor(async () => expect((await hello()).body).toBe('hello again!\n'), PATIENCE)

    process.kill(again.pid, 'SIGINT')
    expect(await again.ended).toBe(0)
    process.kill(started.pid, 'SIGINT')
    expect(await started.ended).toBe(0)
    expect(output() + again.output()).not.toMatch(STACK_TRACE)
  })

  test.each([
    ['SIGINT to the launcher', (pid: number) => process.kill(pid, 'SIGINT')],
    ['Ctrl-C, which reaches all processes of a terminal,', (pid: number) => process.kill(-pid, 'SIGINT')],
    ['SIGTERM to the launcher', (pid: number) => process.kill(pid, 'SIGTERM')],
  ])('%s ends everything with code 0 and without a word', async (_, kill) => {
    const { pid, pids, output, ended } = await quickStart()
    const before = output()
    kill(pid)
    expect(await ended).toBe(0)
    expect(output()).toBe(before)
    expect([isAlive(pids.api), isAlive(pids.app)]).toEqual([false, false])
  })

  test.each([0, 300, 600, 900])('Ctrl-C %d ms after the start leaves nothing behind', async (ms) => {
    const { pid, output, ended } = launch()
    await pause(ms)
    process.kill(-pid, 'SIGINT')
    // Before the launcher has come to its first line, the signal itself ends it.
    expect(await ended).toBeOneOf([0, 'SIGINT'])
    expect(() => process.kill(-pid, 0)).toThrow('ESRCH')
    expect(output()).not.toMatch(/unexpectedly|Error/)
    expect(output()).not.toMatch(STACK_TRACE)
  })

  test('an app that dies takes everything down with code 1', async () => {
    const { pids, output, ended } = await quickStart()
    process.kill(pids.app, 'SIGKILL')
    expect(await ended).toBe(1)
    expect(output()).toMatch(/^the app ended unexpectedly \(SIGKILL\)$/m)
    expect(isAlive(pids.api)).toBe(false)
  })

  test('a launcher that is killed leaves no process behind', async () => {
    const { pid, pids, ended } = await quickStart()
    process.kill(pid, 'SIGKILL')
    expect(await ended).toBe('SIGKILL')
    await vi.waitFor(() => expect([isAlive(pids.api), isAlive(pids.app)]).toEqual([false, false]), PATIENCE)
  })

  test('takes free ports when its own are taken, and says so', async () => {
    const blocker = createServer().listen(0, '127.0.0.1')
    cleanups.push(() => blocker.close())
    await once(blocker, 'listening')
    const taken = String((blocker.address() as AddressInfo).port)
    const started = launch({ API_PORT: taken, APP_PORT: taken })
    await sees(started, /Ctrl-C ends both/)
    const note = (name: string) => new RegExp(`^\\[${name}\\] port ${taken} is taken, using (\\d+) instead$`, 'm')
    const [, api] = note('api').exec(started.output())!
    const [, app] = note('app').exec(started.output())!
    expect((await ask(`http://127.0.0.1:${api}/plugins.json`)).status).toBe(200)
    expect((await ask(`http://127.0.0.1:${app}/`)).body).toBe('the app itself\n')
  })

  test('refuses what is no port in one plain line', async () => {
    const { output, ended } = launch({ API_PORT: 'http' })
    expect(await ended).toBe(1)
    expect(output()).toMatch(
      /^\[api\] expected a port from 0 to 65535, got "http"\nthe API ended unexpectedly \(code 1\)$/m,
    )
    expect(output()).not.toMatch(STACK_TRACE)
  })
})
