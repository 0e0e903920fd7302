import { messageOf } from '../errors.ts'
import type { AddCommand, CommonOptions } from './command.ts'
import { Failure } from './failure.ts'
import { readUrl } from './input.ts'
import type { Style, Terminal } from './terminal.ts'

interface ControlOptions extends CommonOptions {
  readonly token?: string
}

/** Where the endpoints are unless the app says otherwise. */
const PATH = '/_dynacode'
const TIMEOUT_MS = 30_000

/** Adds `status` and `refresh`. */
export const addControl: AddCommand = (program, terminal, finish) => {
  const add = (name: string, summary: string, action: (url: string, options: ControlOptions) => Promise<number>) =>
    program
      .command(name)
      .summary(summary)
      .description(`${summary[0]?.toUpperCase()}${summary.slice(1)}, through the endpoints of dyna.control().`)
      .argument('<url>', `of the app, or of the endpoints when these are not under ${PATH}`)
      .option('--token <text>', 'the token of dyna.control(); the environment has it as DYNACODE_TOKEN unless given')
      .action(async (url: string, _: unknown, command) => finish(await action(url, command.optsWithGlobals())))

  add('status', 'show what is live in a process', async (url, options) => {
    const { body } = await ask(url, 'GET', 'status', options)
    if (options.json) terminal.print(JSON.stringify(body, undefined, 2))
    else showStatus(body, terminal)
    return 0
  })
  add('refresh', 'have a process ask its source now', async (url, options) => {
    const { status, body } = await ask(url, 'POST', 'refresh', options)
    if (options.json) terminal.print(JSON.stringify(body, undefined, 2))
    else terminal.print(describeRefresh(body))
    return status === 200 ? 0 : 1
  })
}

// biome-ignore lint/suspicious/noExplicitAny: docs/control.md has what a process says; it may be of another version
type Answer = any

async function ask(
  given: string,
  method: string,
  name: string,
  { token = process.env.DYNACODE_TOKEN }: ControlOptions,
): Promise<{ status: number; body: Answer }> {
  if (!token)
    throw new Failure('expected the token of dyna.control() as --token, or as DYNACODE_TOKEN in the environment')
  if (!/^[\w.~+/=-]+$/.test(token)) throw new Failure('the token: expected letters, digits and -._~+/= alone')
  const { pathname, origin } = new URL(readUrl(given).url)
  const url = `${origin}${pathname === '/' ? PATH : pathname.replace(/\/$/, '')}/${name}`
  const response = await fetch(url, {
    method,
    headers: { authorization: `Bearer ${token}` },
    // The token is for nobody else.
    redirect: 'manual',
    signal: AbortSignal.timeout(TIMEOUT_MS),
  }).catch((cause) => {
    throw new Failure(`${url}: ${messageOf(cause)}`, 2, cause)
  })
  const body = (await response.json().catch(() => undefined)) as Answer
  const { status } = response
  const is_answer = typeof body === 'object' && body !== null && 'plugins' in body
  if (is_answer) return { status, body }
  const said = typeof body?.error === 'string' ? `: ${body.error}` : ''
  throw new Failure(`${url}: expected an answer of dyna.control(), got status ${status}${said}`)
}

function describeRefresh(body: Answer): string {
  if (!body.updated) return `not updated (${body.reason})${body.error ? `: ${body.error.message}` : ''}`
  return `updated to version ${body.version}: ${body.plugins.length} plugins, ${body.compiled} compiled, ${body.reused} reused, ${body.removed} removed, ${body.failed} failed`
}

const STYLES: Readonly<Record<string, Style>> = Object.freeze({
  live: 'green',
  refused: 'red',
  guarded: 'red',
  quarantined: 'red',
})

function showStatus(status: Answer, { print, paint }: Terminal): void {
  for (const [name, value] of Object.entries(status)) {
    if (name === 'plugins') continue
    print(
      `${paint('bold', name)}: ${typeof value === 'object' && value !== null ? JSON.stringify(value) : String(value)}`,
    )
  }
  for (const { name, domain, phase, state, breaker, error } of status.plugins) {
    const broken = breaker === 'closed' ? '' : `, breaker ${breaker}`
    const why = error ? `: ${error}` : ''
    print(`  ${paint(STYLES[state] ?? 'yellow', String(state))} ${name} (${phase}, ${domain}${broken})${why}`)
  }
}
