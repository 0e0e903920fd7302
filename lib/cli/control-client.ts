import { ask } from './ask.ts'
import type { AddCommand, CommonOptions } from './command.ts'
import { Failure } from './failure.ts'
import { readUrl } from './input.ts'
import { type Answer, countStates, describePlugin, listRefused, needsAttention, showStatus } from './show/status.ts'
import type { Terminal } from './show/terminal.ts'

interface ControlOptions extends CommonOptions {
  readonly token?: string
}

/** What a command asks a process for, and what it makes of the answer. */
interface Control {
  readonly name: string
  readonly summary: string
  readonly method: 'GET' | 'POST'
  show(body: Answer, terminal: Terminal): void
  /** Whether it is as it was asked for. */
  isWell(body: Answer, status: number): boolean
}

/** Where the endpoints are unless the app says otherwise. */
const PATH = '/_dynacode'

const CONTROLS: readonly Control[] = [
  {
    name: 'status',
    summary: 'show what is live in a process, and what needs attention',
    method: 'GET',
    show: (body, terminal) => showStatus(body, terminal),
    isWell: (body) => !needsAttention(body),
  },
  {
    name: 'refresh',
    summary: 'have a process ask its source now',
    method: 'POST',
    show: showRefresh,
    isWell: (body, status) => status === 200 && listRefused(body.plugins).length === 0,
  },
  {
    name: 'disable',
    summary: 'switch every plugin off in a process',
    method: 'POST',
    show: (body, { print }) => print(body.disabled ? 'off: no plugin runs in this process' : 'still on'),
    isWell: ({ disabled }) => disabled,
  },
  {
    name: 'enable',
    summary: 'switch plugins on again in a process',
    method: 'POST',
    show: (body, { print }) => print(body.disabled ? 'still off' : `on: ${countStates(body.plugins)}`),
    isWell: ({ disabled }) => !disabled,
  },
]

/** Adds `status`, `refresh`, `disable` and `enable`. */
export const addControl: AddCommand = (program, terminal, finish) => {
  for (const control of CONTROLS) {
    const { name, summary } = control
    program
      .command(name)
      .summary(summary)
      .description(`${summary[0]?.toUpperCase()}${summary.slice(1)}, through the endpoints of dyna.control().`)
      .argument(
        '<url...>',
        `of the app, or of the endpoints when these are not under ${PATH}; several for several processes`,
      )
      .option('--token <text>', 'the token of dyna.control(); the environment has it as DYNACODE_TOKEN unless given')
      .action(async (urls: string[], _: unknown, command) => {
        const options = command.optsWithGlobals() as ControlOptions
        finish(
          urls.length === 1
            ? await askOne(control, urls[0] as string, options, terminal)
            : await askAll(control, urls, options, terminal),
        )
      })
  }
}

async function askOne(control: Control, url: string, options: ControlOptions, terminal: Terminal): Promise<number> {
  const { status, body } = await askProcess(url, control, options)
  if (options.json) terminal.print(JSON.stringify(body, undefined, 2))
  else control.show(body, terminal)
  return control.isWell(body, status) ? 0 : 1
}

/** Asks several processes; one that cannot be reached does not keep the others from being shown. */
async function askAll(
  control: Control,
  urls: readonly string[],
  options: ControlOptions,
  terminal: Terminal,
): Promise<number> {
  readToken(options)
  const answers = await Promise.all(urls.map((url) => askProcess(url, control, options).catch((error: Error) => error)))
  const shown = answers.map((answer, index) => {
    // Credentials in a URL are for nobody to see.
    const { url } = URL.canParse(urls[index] as string)
      ? readUrl(urls[index] as string)
      : { url: urls[index] as string }
    return { url, answer }
  })
  if (options.json) {
    const all = shown.map(({ url, answer }) => ({
      url,
      ...(answer instanceof Error ? { error: answer.message } : answer.body),
    }))
    terminal.print(JSON.stringify(all, undefined, 2))
  } else {
    for (const [index, { url, answer }] of shown.entries()) {
      if (index > 0) terminal.print('')
      terminal.print(terminal.paint('bold', url))
      if (answer instanceof Error) terminal.print(`${terminal.paint('red', 'error:')} ${answer.message}`)
      else control.show(answer.body, terminal)
    }
  }
  const codes = answers.map((answer) =>
    answer instanceof Error ? 2 : control.isWell(answer.body, answer.status) ? 0 : 1,
  )
  return Math.max(...codes)
}

function readToken({ token = process.env.DYNACODE_TOKEN }: ControlOptions): string {
  if (!token)
    throw new Failure('expected the token of dyna.control() as --token, or as DYNACODE_TOKEN in the environment')
  if (!/^[\w.~+/=-]+$/.test(token)) throw new Failure('the token: expected letters, digits and -._~+/= alone')
  return token
}

async function askProcess(
  given: string,
  { name, method }: Control,
  options: ControlOptions,
): Promise<{ status: number; body: Answer }> {
  const token = readToken(options)
  const { pathname, origin } = new URL(readUrl(given).url)
  const url = `${origin}${pathname === '/' ? PATH : pathname.replace(/\/$/, '')}/${name}`
  // The token is for nobody else.
  const headers = { authorization: `Bearer ${token}` }
  const { status, bytes } = await ask(url, { method, headers, redirect: 'manual' })
  const body = parse(bytes)
  if (typeof body === 'object' && body !== null && 'plugins' in body) return { status, body }
  const said = typeof body?.error === 'string' ? `: ${body.error}` : ''
  throw new Failure(`${url}: expected an answer of dyna.control(), got status ${status}${said}`)
}

function parse(bytes: Uint8Array): Answer {
  try {
    return JSON.parse(Buffer.from(bytes).toString())
  } catch {
    return undefined
  }
}

function showRefresh(body: Answer, { print, paint }: Terminal): void {
  const { updated, reason, error, version, compiled, reused, removed, failed, plugins } = body
  if (updated) {
    const count = `${plugins.length} ${plugins.length === 1 ? 'plugin' : 'plugins'}`
    print(
      `updated to version ${version}: ${count}, ${compiled} compiled, ${reused} reused, ${removed} removed, ${failed} failed`,
    )
  } else print(`not updated (${reason})${error ? `: ${error.message}` : ''}`)
  for (const plugin of listRefused(plugins)) print(`  ${describePlugin(plugin, paint, String)}`)
}
