import { Command, CommanderError, Option } from 'commander'
import { messageOf } from '../errors.ts'
import { VERSION } from '../version.ts'
import { addCheck } from './check.ts'
import type { AddCommand, CommonOptions } from './command.ts'
import { addCompletion } from './completion.ts'
import { addControl } from './control-client.ts'
import { addDebugToken } from './debug-token.ts'
import { addDiff } from './diff.ts'
import { EXAMPLES, EXIT_CODES } from './examples.ts'
import { Failure } from './failure.ts'
import { collectLines } from './header-lines.ts'
import { addInit } from './init.ts'
import { addPack } from './pack.ts'
import { addRun } from './run.ts'
import { addServe } from './serve.ts'
import { createTerminal, type Terminal } from './show/terminal.ts'
import { addSign } from './sign.ts'

const COMMANDS: readonly AddCommand[] = [
  addInit,
  addCheck,
  addPack,
  addDiff,
  addRun,
  addServe,
  addSign,
  addDebugToken,
  addControl,
  addCompletion,
]

/**
 * Runs one command.
 *
 * @param words the command line, without the names of Node and of the script
 * @returns the exit code: 0 when all is well; 1 when something was found or failed; 2 for wrong usage or what cannot be read
 */
export async function runCommandLine(words: readonly string[], terminal: Terminal = createTerminal()): Promise<number> {
  let exit_code = 0
  const setExitCode = (code: number) => {
    exit_code = code
  }
  const program = createProgram(terminal, setExitCode, isForPrograms(words))
  try {
    await program.parseAsync(words, { from: 'user' })
    return exit_code
  } catch (error) {
    if (!(error instanceof CommanderError)) return report(error, program.opts<CommonOptions>(), terminal)
    if (error.exitCode === 0) return 0
    // Commander has said what is wrong; but not to programs.
    const message = error.code === 'commander.help' ? 'expected a command' : error.message.replace(/^error: /, '')
    if (isForPrograms(words)) terminal.print(JSON.stringify({ error: message.replace(/\s*\n\s*/g, ' ') }))
    return 2
  }
}

/**
 * The program and all its commands.
 *
 * @param is_quiet whether wrong usage is left to be reported as JSON
 */
export function createProgram(terminal: Terminal, finish: (exit_code: number) => void, is_quiet = false): Command {
  const program = new Command('dynacode')
    .configureOutput({
      writeOut: (text) => terminal.print(text.replace(/\n$/, '')),
      writeErr: (text) => {
        if (!is_quiet) terminal.printError(text.replace(/\n$/, ''))
      },
    })
    .description('Write, check, try out and ship plugins for dynacode.')
    .version(VERSION, '-v, --version', 'show the version')
    .helpOption('-h, --help', 'show help')
    .helpCommand('help [command]', 'show help for a command')
    .option('--json', 'print JSON, for programs to read')
    .option('--debug', 'show where an error comes from')
    .addOption(
      new Option('--source-header <line>', 'a header for a source that is a URL, such as "Authorization: Bearer …"')
        .env('DYNACODE_SOURCE_HEADER')
        .argParser(collectLines),
    )
    .configureHelp({ showGlobalOptions: true, subcommandTerm: (command) => command.name() })
    .addHelpText(
      'after',
      `\nExamples:\n  dynacode init\n  dynacode check plugins\n  dynacode help run\n\n${EXIT_CODES}`,
    )
    .showHelpAfterError('(see dynacode --help)')
    .exitOverride()
  for (const add of COMMANDS) add(program, terminal, finish)
  for (const command of program.commands) {
    const examples = (EXAMPLES[command.name()] ?? []).map((line) => `\n  ${line}`).join('')
    command
      .addHelpText('after', `\nExamples:${examples}\n\n${EXIT_CODES}`)
      .showHelpAfterError(`(see dynacode ${command.name()} --help)`)
  }
  return program
}

const isForPrograms = (words: readonly string[]) => words.includes('--json')

function report(error: unknown, { json, debug }: CommonOptions, terminal: Terminal): number {
  const message = messageOf(error)
  if (json) terminal.print(JSON.stringify({ error: message }))
  else terminal.printError(`${terminal.paint('red', 'error:')} ${message}`)
  if (debug && error instanceof Error) terminal.printError(String(error.stack) + describeCause(error.cause))
  return error instanceof Failure ? error.exit_code : 1
}

function describeCause(cause: unknown): string {
  return cause instanceof Error ? `\ncaused by ${cause.stack}` : ''
}
