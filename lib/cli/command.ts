import type { Command } from 'commander'
import type { Terminal } from './show/terminal.ts'

/** What every command can be given. */
export interface CommonOptions {
  readonly json?: boolean
  readonly debug?: boolean
  /** Header lines for a source that is a URL. */
  readonly sourceHeader?: readonly string[]
}

/**
 * Adds one command, or some that belong together.
 *
 * @param finish called with the exit code
 */
export type AddCommand = (program: Command, terminal: Terminal, finish: (exit_code: number) => void) => void
