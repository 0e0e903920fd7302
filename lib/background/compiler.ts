import { createHash } from 'node:crypto'
import { compileFunction } from 'node:vm'
import { LRUCache } from 'lru-cache'
import type { GuardMode } from '../document.ts'
import { CompileError } from '../errors.ts'
import { KIT_NAMES, PARAMETERS, type PluginFunction, type Uses } from '../program.ts'
import {
  createEvaluator,
  GUARD_PARAMETERS,
  type GuardFunctions,
  guardArguments,
  guardNames,
  instrument,
} from './guarded-code.ts'
import { describeLua } from './lua.ts'
import { type ParsedCode, ParseFault, parseCode } from './parser.ts'

/** What every plugin of one instance gets: the instance's own, or made for that plugin alone. */
export interface Environment {
  readonly store: object
  readonly log: (...message: unknown[]) => void
  readonly guard: GuardFunctions
}

/** Compiled code; any number of plugins can be made of it. */
export interface CompiledCode {
  /** SHA-1 of the name and code, in hex. */
  readonly sha1: string
  readonly uses: Uses
  /** Gives the code its environment. */
  bind(environment: Environment): PluginFunction
}

/** Compiles plugins, and remembers what it compiled. */
export interface Compiler {
  /**
   * @returns the compiled code, and whether it had to be compiled for this call
   * @throws CompileError
   */
  compile(plugin: { name: string; code: string; guard: GuardMode }): { compiled: CompiledCode; fresh: boolean }
}

/**
 * Makes the compiler of one instance.
 *
 * @param globals the app's own names, in scope of every plugin
 */
export function createCompiler({
  compile_cache_max,
  globals,
}: {
  compile_cache_max: number
  globals: Readonly<Record<string, unknown>>
}): Compiler {
  const cache = new LRUCache<string, CompiledCode>({ max: compile_cache_max })
  const globalNames = Object.keys(globals)
  const globalValues = Object.values(globals)

  function compileFresh(name: string, code: string, guarded: boolean, sha1: string): CompiledCode {
    const parsed = parse(name, code, globals)
    const uses = (used: string) => parsed.names.has(used) || parsed.names.has('eval')
    const names = guardNames(code)
    const kit = guarded ? KIT_NAMES.filter((used) => uses(used) && !globalNames.includes(used)) : []
    const prologue = kit.length === 0 ? '' : `var {${kit.join(',')}}=${names.run}.kit;`
    const text = guarded ? instrument(code, parsed, names) : code
    // One line, and the code begins on it: so every line of the code keeps its number.
    const before = `return ${parsed.awaits ? 'async ' : ''}function(${names.run},${PARAMETERS.join(',')}){"use strict";${prologue}{`
    const scope = ['store', 'log', ...GUARD_PARAMETERS.map((part) => names[part]), ...globalNames]
    const make = compileWith(name, `${before}${text}\n}}`, scope, before.length)
    const evaluate = createEvaluator(names)
    return Object.freeze({
      sha1,
      uses: {
        exit: uses('exit'),
        say: uses('say'),
        fetch: uses('fetch'),
        signal: uses('signal'),
        kit: kit.length > 0,
        store: uses('store'),
      },
      bind: ({ store, log, guard }: Environment) =>
        make(store, log, ...guardArguments(guard, evaluate), ...globalValues) as PluginFunction,
    })
  }

  return Object.freeze({
    compile({ name, code, guard }) {
      // As JSON, since half a surrogate pair is lost in UTF-8, and two codes would be taken for one.
      const sha1 = createHash('sha1')
        .update(JSON.stringify([name, code]))
        .digest('hex')
      const key = guard === 'off' ? `${sha1} off` : sha1
      const known = cache.get(key)
      if (known !== undefined) return { compiled: known, fresh: false }
      const compiled = compileFresh(name, code, guard !== 'off', sha1)
      cache.set(key, compiled)
      return { compiled, fresh: true }
    },
  } satisfies Compiler)
}

/** The name under which a plugin's code stands in stack traces and in `debug`. */
export function chunkName(plugin: string): string {
  return `dynacode:plugin:${plugin.replace(/[\p{Cc}\p{Zl}\p{Zp}()]+/gu, ' ')}`
}

function parse(name: string, code: string, globals: object): ParsedCode {
  try {
    const parsed = parseCode(code)
    // Much of the original's Lua is also JavaScript by its looks, and would only fail once requests come.
    const hint = parsed.names.has('ngx') && !Object.hasOwn(globals, 'ngx') ? describeLua(code) : undefined
    if (hint !== undefined) throw new ParseFault(hint)
    return parsed
  } catch (cause) {
    if (!(cause instanceof ParseFault)) throw new CompileError(name, (cause as Error).message, {}, { cause })
    const hint = describeLua(code)
    const message = hint === undefined || cause.message === hint ? cause.message : `${cause.message} (${hint})`
    throw new CompileError(name, message, cause, { cause })
  }
}

function compileWith(
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
