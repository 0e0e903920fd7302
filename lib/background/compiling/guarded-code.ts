import { compileFunction } from 'node:vm'
import { parse } from 'meriyah'
import { KIT_NAMES } from '../../program.ts'
import { applyEdits, originalColumn } from './code-edits.ts'
import type { GuardNames } from './guard-names.ts'
import { findEdits } from './instrumenter.ts'
import { type ParsedCode, parseCode } from './parser.ts'
import type { Node } from './syntax-tree.ts'

/** The functions that instrumented code calls, by the name of their place in `GuardNames`. */
export type GuardFunctions = Readonly<
  // biome-ignore lint/suspicious/noExplicitAny: the runs they are called with are known to the request line alone
  Record<(typeof GIVEN_PARAMETERS)[number], (...given: any[]) => any>
>

const GIVEN_PARAMETERS = [
  'over',
  'track',
  'room',
  'give',
  'fail',
  'end',
  'suspect',
  'hold',
  'resume',
  'listen',
] as const

/** The guard's places among the parameters that code is compiled with. */
export const GUARD_PARAMETERS = Object.freeze([...GIVEN_PARAMETERS, 'evaluate', 'compile'] as const)

/** The arguments for `GUARD_PARAMETERS`. */
export function guardArguments(guard: GuardFunctions, evaluate: (source: unknown) => unknown): unknown[] {
  const compile = (run: { readonly kit?: unknown }, given: unknown) =>
    given === Function ? createFunctionConstructor(guard, run) : given
  return [...GIVEN_PARAMETERS.map((part) => guard[part]), evaluate, compile]
}

/** Chooses names for the guard that the code cannot mean by chance, because they are nowhere in it. */
export function guardNames(code: string): GuardNames {
  let prefix = USUAL_PREFIX
  while (code.includes(prefix)) prefix += '$'
  return prefix === USUAL_PREFIX ? USUAL_NAMES : namesFrom(prefix)
}

function namesFrom(prefix: string): GuardNames {
  return Object.freeze({
    prefix,
    run: `${prefix}s`,
    over: `${prefix}o`,
    track: `${prefix}t`,
    room: `${prefix}m`,
    give: `${prefix}g`,
    fail: `${prefix}f`,
    end: `${prefix}z`,
    suspect: `${prefix}u`,
    hold: `${prefix}h`,
    resume: `${prefix}a`,
    listen: `${prefix}l`,
    evaluate: `${prefix}e`,
    compile: `${prefix}c`,
    caught: `${prefix}x`,
  })
}

const USUAL_PREFIX = '$dyna'
// Nearly every code has these; names and an evaluator of its own for each would take more room than the code.
const USUAL_NAMES = namesFrom(USUAL_PREFIX)

/** Puts the guard's checks into a plugin's code. */
export function instrument(code: string, { block, offset }: ParsedCode, names: GuardNames): string {
  return applyEdits(code, findEdits(code, block, offset, names))
}

/** Tells where a place in a plugin's running, instrumented code is in the code that its author wrote. */
export function createLocator(code: string): (line: number, column: number) => number {
  const { block, offset } = parseCode(code)
  const edits = findEdits(code, block, offset, guardNames(code))
  return (line, column) => originalColumn(code, edits, line, column)
}

/** Makes what instrumented code puts around the source that it hands to `eval`. */
export function createEvaluator(names: GuardNames): (source: unknown) => unknown {
  return names === USUAL_NAMES ? evaluateUsual : (source) => evaluateWith(names, source)
}

const evaluateUsual = (source: unknown) => evaluateWith(USUAL_NAMES, source)

function evaluateWith(names: GuardNames, source: unknown): unknown {
  if (typeof source !== 'string') return source
  try {
    const program = parse(source, { ranges: true, webcompat: true, impliedStrict: true })
    return applyEdits(source, findEdits(source, program as Node, 0, names))
  } catch {
    // What cannot be parsed is V8's to complain about.
    return source
  }
}

/** Makes what a run's code calls in place of `Function`: what it compiles is under the guard of that run. */
function createFunctionConstructor(guard: GuardFunctions, run: { readonly kit?: unknown }): FunctionConstructor {
  const build = (given: unknown[]) => {
    const body = given.length === 0 ? '' : String(given.at(-1))
    const code = `return function anonymous(${given.slice(0, -1).join(',')}\n) {\n${body}\n}`
    try {
      const names = guardNames(code)
      const text = instrument(code, parseCode(code), names)
      const scope = [...KIT_NAMES, names.run, ...GUARD_PARAMETERS.map((part) => names[part])]
      const kit = run.kit as Readonly<Record<string, unknown>>
      const values = KIT_NAMES.map((name) => kit[name])
      return compileFunction(text, scope)(...values, run, ...guardArguments(guard, createEvaluator(names)))
    } catch {
      // Code for sloppy mode alone, or no code at all.
      return Reflect.construct(Function, given)
    }
  }
  return new Proxy(Function, {
    construct: (_target, given) => build(given),
    apply: (_target, _self, given) => build(given),
  })
}
