import { compileFunction } from 'node:vm'
import { CompileError } from '../../errors.ts'

/** The name under which a plugin's code stands in stack traces and in `debug`. */
export function chunkName(plugin: string): string {
  return `dynacode:plugin:${plugin.replace(/[\p{Cc}\p{Zl}\p{Zp}()]+/gu, ' ')}`
}

/**
 * Has V8 compile a text.
 *
 * @param offset how many columns stand before the plugin's own code in the first line
 * @throws CompileError
 */
export function compileWith(
  name: string,
  source: string,
  parameters: string[],
  offset: number,
): (...args: unknown[]) => unknown {
  try {
    const options = { filename: chunkName(name), columnOffset: -offset }
    return compileFunction(source, parameters, options) as (...args: unknown[]) => unknown
  } catch (cause) {
    throw new CompileError(name, (cause as Error).message, placeOf(cause as Error), { cause })
  }
}

/** V8 puts the line into the first line of the stack (`name:line`); the column is nowhere but under a caret. */
function placeOf(error: Error): { line?: number } {
  const line = /^dynacode:plugin:.*:(\d+)\n/.exec(error.stack ?? '')?.[1]
  return line === undefined ? {} : { line: Number(line) }
}
