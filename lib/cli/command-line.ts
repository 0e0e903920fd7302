import { Command, CommanderError, Option } from 'commander'
import { messageOf } from '../errors.ts'
import { VERSION } from '../version.ts'
import { addCheck } from './check.ts'
import type { AddCommand, CommonOptions } from './command.ts'
import { addControl } from './control-client.ts'
import { addDebugToken } from './debug-token.ts'
import { addDiff } from './diff.ts'
import { Failure } from './failure.ts'
import { collectLines } from './header-lines.ts'
import { addInit } from './init.ts'
import { addPack } from './pack.ts'
import { addRun } from './run.ts'
import { addServe } from './serve.ts'
import { addSign } from './sign.ts'
import { createTerminal, type Terminal } from './terminal.ts'

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
]

/**
 * Runs one command.
 *
 * @param words the command line, without the names of Node and of the script
 * @returns the exit code: 0 when all is well; 1 when something was found or failed; 2 for wrong usage or what cannot be read
 */
export async function runCommandLine(words: readonly string[], terminal: Terminal = createTerminal()): Promise<number> {
  let exit_code = 0
  const program = createProgram(terminal, (code) => {
    exit_code = code
  })
  try {
    await program.parseAsync(words, { from: 'user' })
    return exit_code
  } catch (error) {
    // Commander has said what is wrong, or shown what it was asked for.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
    return report(error, program.opts<CommonOptions>(), terminal)
  }
}

/** The program and all its commands. */
export function createProgram(terminal: Terminal, finish: (exit_code: number) => void): Command {
  const program = new Command('dynacode')
    .description('Write, check, try out and ship plugins for dynacode.')
    .version(VERSION, '--version', 'show the version')
    .helpOption('-h, --help', 'show help')
    .helpCommand('help [command]', 'show help for a command')
    .option('--json', 'print JSON, for programs to read')
    .option('--debug', 'show where an error comes from')
    .addOption(
      new Option('--source-header <line>', 'a header for a source that is a URL, such as "Authorization: Bearer …"')
        .env('DYNACODE_SOURCE_HEADER')
        .argParser(collectLines),
    )
    .configureHelp({ showGlobalOptions: true })
    .showHelpAfterError('(see dynacode --help)')
    .exitOverride()
  for (const add of COMMANDS) add(program, terminal, finish)
  for (const command of program.commands) command.showHelpAfterError(`(see dynacode ${command.name()} --help)`)
  return program
}

function report(error: unknown, { json, debug }: CommonOptions, terminal: Terminal): number {
  const message = messageOf(error)
  if (json) terminal.print(JSON.stringify({ error: message }))
  terminal.tell(`${terminal.paint('red', 'error:')} ${message}`)
  if (debug && error instanceof Error) terminal.tell(String(error.stack) + describeCause(error.cause))
  return error instanceof Failure ? error.exit_code : 1
}

function describeCause(cause: unknown): string {
  return cause instanceof Error ? `\ncaused by ${cause.stack}` : ''
}
