import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { createProgram } from '../../lib/cli/command-line.ts'
import { EXAMPLES } from '../../lib/cli/examples.ts'
import { clean, createTerminal } from '../../lib/cli/show/terminal.ts'
import { VERSION } from '../../lib/version.ts'
import { callCommand, callJson } from '../fixtures/command-line.ts'
import { makeFolder } from '../fixtures/plugin-folder.ts'

test('says as JSON what went wrong with --json', async () => {
  const path = join(makeFolder(), 'none')
  const { output } = await callCommand('check', path, '--json')
  expect(JSON.parse(output)).toEqual({ error: `${path}: no such file or folder` })
})

describe('wrong usage', () => {
  test.each([
    [['chekc'], "unknown command 'chekc' (Did you mean check?)"],
    [['check'], "missing required argument 'source'"],
    [['check', 'a', '--alow', 'x'], "unknown option '--alow' (Did you mean --allow?)"],
    [[], 'expected a command'],
    [['completion', 'tcsh'], /Allowed choices are bash, zsh, fish/],
  ])('of %j is said once: as JSON with --json, else as text', async (words, message) => {
    const asJson = await callCommand(...words, '--json')
    expect({ ...asJson, output: JSON.parse(asJson.output).error }).toEqual({
      exit_code: 2,
      errors: '',
      output: typeof message === 'string' ? message : expect.stringMatching(message),
    })
    const asText = await callCommand(...words)
    expect(asText).toMatchObject({ exit_code: 2, output: '' })
    expect(asText.errors).toContain(words.length === 0 ? 'Usage: dynacode' : '--help)')
  })

  const { commands } = createProgram({ print() {}, printError() {}, paint: (_, text) => text }, () => {})

  test.each(commands.map((command) => command.name()))('of %s is an error as JSON with --json', async (name) => {
    const given = [name, '--no-such-flag']
    const { exit_code, output, errors } = await callCommand(...given, '--json')
    expect({ exit_code, errors, said: JSON.parse(output) }).toEqual({
      exit_code: 2,
      errors: '',
      said: { error: expect.stringMatching(/^(unknown option '--no-such-flag'|required option '--keys? )/) },
    })
  })

  test('and what fails, too', async () => {
    expect(await callCommand('check', '/nowhere', '--json')).toMatchObject({ exit_code: 2, errors: '' })
  })
})

describe('help', () => {
  const program = createProgram({ print() {}, printError() {}, paint: (_, text) => text }, () => {})
  const names = program.commands.map((command) => command.name())

  test('of the program fits 80 columns, and names every command', async () => {
    const { exit_code, output } = await callCommand('--help')
    expect(exit_code).toBe(0)
    for (const name of names) expect(output).toMatch(new RegExp(`^  ${name} `, 'm'))
    for (const line of output.split('\n')) expect(line.length).toBeLessThanOrEqual(80)
  })

  test('there are examples of every command, and of no other', () => {
    expect(Object.keys(EXAMPLES).sort()).toEqual([...names].sort())
  })

  test.each(Object.entries(EXAMPLES))('of %s has examples that are right, and the exit codes', async (name, lines) => {
    const { output } = await callCommand('help', name)
    const command = program.commands.find((each) => each.name() === name)
    for (const line of lines) {
      expect(output).toContain(`\n  ${line}`)
      for (const [flag] of line.matchAll(/(?<= )--?[a-zA-Z][\w-]*/g)) {
        expect(command?.options.some(({ short, long }) => flag === short || flag === long)).toBe(true)
      }
    }
    expect(output).toContain('Exit codes:\n  0')
  })

  test.each(['-v', '--version'])('%s shows the version', async (flag) => {
    expect(await callCommand(flag)).toEqual({ exit_code: 0, output: VERSION, errors: '' })
  })
})

describe('completion', () => {
  const { commands, options } = createProgram({ print() {}, printError() {}, paint: (_, text) => text }, () => {})

  test.each([
    ['bash', /^ {4}NAME\) options="(.*)" ;;$/m, (long: string) => long],
    ['zsh', /^ {4}NAME\) options=\((.*)\) ;;$/m, (long: string) => long],
    ['fish', /^((?:complete .*__fish_seen_subcommand_from NAME'.*\n?)+)/m, (long: string) => `-l ${long.slice(2)}`],
  ] as const)('%s names every command, and every option of each', async (shell, line, write) => {
    const { exit_code, output } = await callCommand('completion', shell)
    expect(exit_code).toBe(0)
    for (const command of commands) {
      const [, words = ''] = new RegExp(line.source.replace('NAME', command.name()), line.flags).exec(output) ?? []
      const flags = [...command.options, ...options].map(({ long }) => write(long as string))
      expect(flags.filter((flag) => !words.includes(flag))).toEqual([])
    }
  })
})

test('a document from stdin is a source', async () => {
  const stdin = Object.getOwnPropertyDescriptor(process, 'stdin')
  onTestFinished(() => void Object.defineProperty(process, 'stdin', stdin as PropertyDescriptor))
  Object.defineProperty(process, 'stdin', { value: Readable.from([Buffer.from('{"domains":')]), configurable: true })
  expect((await callCommand('check', '-')).output).toContain('stdin:1:12 error document')
})

describe('a source that is a URL', () => {
  const document = JSON.stringify({ domains: [{ name: 'a.com', plugins: [] }] })

  async function startApi(): Promise<string> {
    const server = createServer(({ url, headers }, response) => {
      if (url === '/moved') response.writeHead(302, { Location: '/plugins.json' }).end()
      else if (headers.authorization !== 'Bearer s3cret' || headers['x-team'] !== 'web') response.writeHead(401).end()
      else response.end(document)
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    onTestFinished(() => void server.close())
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  }

  test('is asked with the headers that it needs', async () => {
    const uri = `${await startApi()}/plugins.json`
    const headers = ['--source-header', 'Authorization: Bearer s3cret', '--source-header', 'X-Team: web']
    const file = join(makeFolder(), 'a.json')
    writeFileSync(file, document)
    expect(await callJson('check', uri, ...headers)).toMatchObject({ errors: 0 })
    expect(await callCommand('diff', uri, file, ...headers)).toMatchObject({ output: 'no differences' })
    expect(await callCommand('unpack', uri, join(makeFolder(), 'a'), ...headers)).toMatchObject({ exit_code: 0 })
    const ran = await callJson('run', uri, 'GET', 'http://a.com/', ...headers)
    expect(ran.response.status).toBe(200)
    expect(await callCommand('check', uri)).toMatchObject({
      exit_code: 2,
      errors: `error: ${uri}: expected status 200, got 401`,
    })
  })

  test('has such a header from the environment, where nobody sees it among the processes', async () => {
    const uri = `${await startApi()}/plugins.json`
    vi.stubEnv('DYNACODE_SOURCE_HEADER', 'Authorization: Bearer wrong')
    onTestFinished(() => void vi.unstubAllEnvs())
    expect(await callCommand('check', uri, '--source-header', 'X-Team: web')).toMatchObject({ exit_code: 2 })
    vi.stubEnv('DYNACODE_SOURCE_HEADER', 'no header')
    expect((await callCommand('check', uri)).errors).toBe(
      'error: --source-header: expected a header such as "Accept: text/html", got "no header"',
    )
  })

  test('that redirects gets no headers for elsewhere, and a wrong one is not shown with its value', async () => {
    const uri = `${await startApi()}/moved`
    const words = ['check', uri, '--source-header', 'Authorization: Bearer s3cret']
    expect((await callCommand(...words)).errors).toBe(`error: ${uri}: expected status 200, got 302`)
    const { errors } = await callCommand('check', uri, '--source-header', 'Auth orization: Bearer s3cret')
    expect(errors).toContain('got "Auth orization: …"')
    expect(errors).not.toContain('s3cret')
  })
})

describe('colours', () => {
  test('are shown on a terminal, but not with NO_COLOR', () => {
    const before = Object.getOwnPropertyDescriptor(process.stdout, 'isTTY')
    Object.defineProperty(process.stdout, 'isTTY', { value: true, configurable: true })
    try {
      expect(createTerminal({ TERM: 'xterm' }).paint('red', 'x')).toContain('\u001b[31m')
      expect(createTerminal({ TERM: 'xterm', NO_COLOR: '1' }).paint('red', 'x')).toBe('x')
      expect(createTerminal({ TERM: 'dumb' }).paint('red', 'x')).toBe('x')
    } finally {
      if (before === undefined) Reflect.deleteProperty(process.stdout, 'isTTY')
      else Object.defineProperty(process.stdout, 'isTTY', before)
    }
    if (!process.stdout.isTTY) expect(createTerminal({ TERM: 'xterm' }).paint('red', 'x')).toBe('x')
  })
})

test('nothing from elsewhere steers the terminal', () => {
  expect(clean('a\u001b]0;title\u0007b\u001b[2Jc\r\n\td', true)).toBe('a]0;titleb[2Jc\n\td')
  expect(clean('\u001b[31mred\u001b[39m', true)).toBe('\u001b[31mred\u001b[39m')
  expect(clean('\u001b[31mred\u001b[39m', false)).not.toContain('\u001b')
})
