import { basename } from 'node:path'
import type { Phase } from '../document.ts'

/** The code of a plugin, as its author wrote it. */
export interface PluginSource {
  readonly name: string
  readonly phase: Phase
  readonly code: string
  /** Whether the code is TypeScript. */
  readonly typescript?: boolean
  /** The `params` of each use of the plugin in the document. Without any, `params` may have any fields. */
  readonly params?: readonly Readonly<Record<string, unknown>>[]
}

/** A plugin as a file that TypeScript can check. */
export interface WrappedPlugin {
  readonly plugin: PluginSource
  readonly path: string
  readonly text: string
  /** Where a place in the text is in the plugin's own code. */
  readonly toPlace: (position: number) => { readonly line: number; readonly column: number }
}

const EVERYWHERE = ['ctx', 'params', 'store', 'log', 'fetch', 'signal']
const UPSTREAM = ['exit', 'say']
const NAMES: Readonly<Record<Phase, readonly string[]>> = Object.freeze({
  rewrite: [...EVERYWHERE, ...UPSTREAM],
  access: [...EVERYWHERE, ...UPSTREAM],
  content: [...EVERYWHERE, ...UPSTREAM],
  balancer: [...EVERYWHERE, ...UPSTREAM],
  header_filter: [...EVERYWHERE, ...UPSTREAM],
  body_filter: [...EVERYWHERE, 'exit', 'chunk', 'last'],
  log: EVERYWHERE,
})

/**
 * Puts the code into a function whose parameters are what is in scope: on the function's first line, so that every line
 * keeps its number, and in a block of its own, in which it may declare names that are in scope.
 *
 * @param declarations path of `plugin.js`, beside its types
 * @param at where the file is to be, without its extension; the params' type is beside it
 */
export function wrapPlugin(plugin: PluginSource, declarations: string, at: string): WrappedPlugin {
  const { phase, code, typescript = false } = plugin
  const scope = `import(${JSON.stringify(declarations)}).Scope<'${phase}', import('./${basename(at)}.params.js').Params>`
  // A type of its own for each: only so does code after `exit()` count as never reached.
  const parameters = NAMES[phase].map((name) => ({ name, type: `${scope}['${name}']` }))
  const list = parameters.map(({ name, type }) => (typescript ? `${name}: ${type}` : name)).join(', ')
  const types = parameters.map(({ name, type }) => `@param {${type}} ${name} `).join('')
  const head = `export default async function (${list}) { {`
  const before = typescript ? head : `/** ${types}*/ ${head}`
  return Object.freeze({
    plugin,
    path: `${at}.${typescript ? 'ts' : 'js'}`,
    text: `${before}${code}\n} }\n`,
    toPlace: (position: number) => placeIn(code, position - before.length),
  })
}

/** Before and after the code stands nothing of its author's: an error there is reported at its first or last place. */
function placeIn(code: string, position: number): { line: number; column: number } {
  const end = Math.min(Math.max(position, 0), code.trimEnd().length)
  const lines = code.slice(0, end).split(/\r\n|[\n\r\u2028\u2029]/)
  return { line: lines.length, column: (lines.at(-1) as string).length + 1 }
}
