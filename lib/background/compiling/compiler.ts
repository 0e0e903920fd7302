import { createHash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { GuardMode } from '../../document.ts'
import { CompileError, ParseFault } from '../../errors.ts'
import { KIT_NAMES, PARAMETERS, type PluginFunction, type Uses } from '../../program.ts'
import { compileWith } from './compiled-text.ts'
import { hideChecks } from './function-text.ts'
import {
  createEvaluator,
  GUARD_PARAMETERS,
  type GuardFunctions,
  guardArguments,
  guardNames,
  instrument,
} from './guarded-code.ts'
import { leavesNothing } from './leavings.ts'
import { describeLua } from './lua.ts'
import { type ParsedCode, parseCode } from './parser.ts'
import { findWrites } from './writes.ts'

/** What every plugin of one instance gets: the instance's own, or made for that plugin alone. */
export interface Environment {
  readonly store: object
  /** Undefined for code that does not use it. */
  readonly log: ((...message: unknown[]) => void) | undefined
  readonly guard: GuardFunctions
}

/** Compiled code; any number of plugins can be made of it. */
export interface CompiledCode {
  /** SHA-1 of the name and code, in hex. */
  readonly sha1: string
  readonly uses: Uses
  /** Whether it uses `log`. */
  readonly logs: boolean
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
  /** A plugin of this code begins to live: the code is at hand until as many have ended, however much else is compiled. */
  hold(code: CodeKey): void
  /** Such a plugin has ended. */
  release(code: CodeKey): void
}

/** What tells compiled code from any other. */
interface CodeKey {
  readonly sha1: string
  readonly guard: GuardMode
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
  /** Of plugins that live, with how many do. */
  const live = new Map<string, { readonly compiled: CompiledCode; count: number }>()
  /** Of plugins that may come back. */
  // `max` would set room for all of them aside at once.
  const idle = new LRUCache<string, CompiledCode>({ maxSize: compile_cache_max, sizeCalculation: () => 1 })
  const shared = new Map<string, Uses>()
  const globalNames = Object.keys(globals)
  const globalValues = Object.values(globals)

  function compileFresh(name: string, code: string, guarded: boolean, sha1: string): CompiledCode {
    const parsed = parse(name, code, globals)
    const isUsed = (used: string) => parsed.names.has(used) || parsed.names.has('eval')
    const names = guardNames(code)
    const kit = guarded ? KIT_NAMES.filter((used) => isUsed(used) && !globalNames.includes(used)) : []
    const prologue = kit.length === 0 ? '' : `var {${kit.join(',')}}=${names.run}.kit;`
    const text = guarded ? instrument(code, parsed, names) : code
    if (guarded) hideChecks()
    const isTimed = guarded && parsed.awaits
    // One line, and the code begins on it: so every line of the code keeps its number.
    const before = `return ${parsed.awaits ? 'async ' : ''}function(${names.run},${PARAMETERS.join(',')}){"use strict";${prologue}{${isTimed ? 'try{' : ''}`
    const after = isTimed ? `}finally{${names.end}(${names.run})}\n}}` : '}}'
    const scope = ['store', 'log', ...GUARD_PARAMETERS.map((part) => names[part]), ...globalNames]
    const make = compileWith(name, `${before}${text}\n${after}`, scope, before.length)
    const writes = findWrites(parsed.block, (given) => globalNames.includes(given))
    const uses = shareUses({
      exit: isUsed('exit'),
      say: isUsed('say'),
      fetch: isUsed('fetch'),
      signal: isUsed('signal'),
      kit: guarded && (kit.length > 0 || isUsed('Function')),
      store: isUsed('store'),
      leaves_nothing: leavesNothing(parsed),
      request_headers: writes.headers === null && mayChangeHeaders(code),
      ...writes,
    })
    return createCode(sha1, uses, isUsed('log'), make, createEvaluator(names), globalValues)
  }

  /** The codes of a large document are of a few kinds. */
  function shareUses(uses: Uses): Uses {
    const key = JSON.stringify(uses)
    const known = shared.get(key)
    if (known !== undefined) return known
    shared.set(key, Object.freeze(uses))
    return uses
  }

  /** The live ones count against the limit, but are never what gives way. */
  function keepIdle(key: string, compiled: CompiledCode): void {
    idle.set(key, compiled)
    while (idle.size > 1 && live.size + idle.size > compile_cache_max) idle.pop()
  }

  return Object.freeze({
    compile({ name, code, guard }) {
      // As JSON, since half a surrogate pair is lost in UTF-8, and two codes would be taken for one.
      const sha1 = createHash('sha1')
        .update(JSON.stringify([name, code]))
        .digest('hex')
      const key = keyOf({ sha1, guard })
      const known = live.get(key)?.compiled ?? idle.get(key)
      if (known !== undefined) return { compiled: known, fresh: false }
      const compiled = compileFresh(name, code, guard !== 'off', sha1)
      keepIdle(key, compiled)
      return { compiled, fresh: true }
    },
    hold(code) {
      const key = keyOf(code)
      const known = live.get(key)
      const compiled = idle.get(key)
      if (known !== undefined) known.count += 1
      else if (compiled !== undefined) live.set(key, { compiled, count: 1 })
      idle.delete(key)
    },
    release(code) {
      const key = keyOf(code)
      const known = live.get(key)
      if (known === undefined) return
      known.count -= 1
      if (known.count > 0) return
      live.delete(key)
      keepIdle(key, known.compiled)
    },
  } satisfies Compiler)
}

/** Places where a header is read, and nothing else is done. */
const HEADER_READ =
  /\bheaders?\s*(?:\??\.\s*[\w$]+(?![\w$])|(?:\?\.)?\s*\[[^[\]]*\])(?!\s*(?:[-+*/%&|^?<>]*=(?!=)|\+\+|--))/g

/** Whether code may change the headers of a request, as far as can be told by its text; in doubt it may. */
function mayChangeHeaders(code: string): boolean {
  if (!/\bheaders?\b/.test(code)) return false
  return /\b(?:delete|eval)\b/.test(code) || /\bheaders?\b/.test(code.replace(HEADER_READ, ''))
}

const keyOf = ({ sha1, guard }: CodeKey) => (guard === 'off' ? `${sha1} off` : sha1)

/** Apart from where the code was parsed: functions of one scope keep all of that scope, and so would keep the whole tree. */
function createCode(
  sha1: string,
  uses: Uses,
  logs: boolean,
  make: (...args: unknown[]) => unknown,
  evaluate: (source: unknown) => unknown,
  globalValues: readonly unknown[],
): CompiledCode {
  return Object.freeze({
    sha1,
    uses,
    logs,
    bind: ({ store, log, guard }: Environment) =>
      make(store, log, ...guardArguments(guard, evaluate), ...globalValues) as PluginFunction,
  })
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
