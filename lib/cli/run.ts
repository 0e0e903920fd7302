import { METHODS } from 'node:http'
import type { Middleware } from 'koa'
import { messageOf, OptionError } from '../errors.ts'
import type { GivenRequest, Ran, RunRequestOptions } from '../tools/run-request.ts'
import { describeValue } from '../validation/schema-error.ts'
import { suggest } from '../validation/suggestion.ts'
import type { AddCommand, CommonOptions } from './command.ts'
import { Failure } from './failure.ts'
import { collectLines, readHeaderLines } from './header-lines.ts'
import { importGlobals } from './import-globals.ts'
import { readInput, readUrl } from './input.ts'
import { createProxy } from './proxy.ts'

interface RunOptions extends CommonOptions {
  readonly header?: readonly string[]
  readonly data?: string
  readonly against?: string
  readonly ip?: string
  readonly at?: string
  readonly globalsFrom?: string
}

/** Adds `run`. */
export const addRun: AddCommand = (program, terminal, finish) => {
  program
    .command('run')
    .summary('send one request through the plugins')
    .description(
      'Sends one request through the plugins, and shows which of them ran, what they changed, and why others did not.',
    )
    .argument('<source>', 'a file, a folder with a dynacode.json, a URL, or - for stdin')
    .argument('<method>', 'such as GET')
    .argument('<url>', 'such as http://shop.example/cart: its host decides which plugins there are')
    .option('-H, --header <line>', 'a header of the request, such as "Accept: text/html"', collectLines)
    .option('-d, --data <text>', 'body of the request')
    .option('--against <url>', 'a server that answers behind the plugins; a bare app unless given')
    .option('--ip <address>', 'where the request is from; 127.0.0.1 unless given')
    .option('--at <time>', 'what time it is, such as 2030-01-31T12:00:00Z')
    .option('--globals-from <file>', "a module that exports the app's own names that plugins may use")
    .action(async (source: string, method: string, url: string, _: unknown, command) => {
      const options = command.optsWithGlobals() as RunOptions
      const ran = await run(source, method.toUpperCase(), url, options)
      if (options.json) terminal.print(JSON.stringify(ran, undefined, 2))
      else (await import('./show/trace.ts')).showTrace(ran, terminal)
      finish(ran.plugins.some(({ outcome }) => outcome === 'failed' || outcome === 'refused') ? 1 : 0)
    })
}

async function run(source: string, method: string, given: string, options: RunOptions): Promise<Ran> {
  const { header = [], data, against, ip, at, globalsFrom } = options
  if (!METHODS.includes(method)) {
    throw new Failure(
      `unknown method ${describeValue(method)}${suggest(method, METHODS) || ': expected one such as GET'}`,
    )
  }
  const url = new URL(readUrl(given).url)
  if (!/^https?:$/.test(url.protocol)) throw new Failure(`${given}: expected a URL that begins with http://`)
  const headers = readHeaderLines(header, '--header')
  if (against !== undefined) readUrl(against)
  if (at !== undefined && Number.isNaN(Date.parse(at)))
    throw new Failure(`--at: expected a time in ISO 8601, got ${at}`)
  const globals = globalsFrom === undefined ? {} : await importGlobals(globalsFrom)
  const { text } = await readInput(source, options)
  let unreachable: string | undefined
  const app =
    against === undefined
      ? answer
      : createProxy(against, (message) => {
          unreachable = message
        })
  const ran = await tryRequest(
    text,
    {
      method,
      url,
      headers,
      ...(data === undefined ? {} : { body: data }),
      ...(ip === undefined ? {} : { ip }),
    },
    { app, globals, ...(at === undefined ? {} : { now: at }) },
    source,
  )
  if (unreachable !== undefined) throw new Failure(`${against}: ${unreachable}`)
  return ran
}

async function tryRequest(text: string, request: GivenRequest, options: RunRequestOptions, name: string): Promise<Ran> {
  const { runRequest } = await import('../tools/run-request.ts')
  try {
    return await runRequest(text, request, options)
  } catch (cause) {
    const about =
      cause instanceof OptionError && cause.option === 'ip' ? '--ip: expected an address of IPv4 or IPv6' : undefined
    throw new Failure(about ?? `${name}: ${messageOf(cause)}`, 2, cause)
  }
}

const answer: Middleware = (ctx) => {
  ctx.body = 'the app\n'
}
