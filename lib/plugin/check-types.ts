import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type ts from 'typescript'
import { describeParams } from './params.ts'
import { type PluginSource, type WrappedPlugin, wrapPlugin } from './wrap.ts'

export type { PluginSource }

/** A type error in a plugin's code. */
export interface TypeFault {
  readonly plugin: string
  /** Line in the plugin's own code, from 1. */
  readonly line: number
  readonly column: number
  readonly message: string
  /** TypeScript's error code: 2304 for `TS2304`. */
  readonly code: number
}

/** What plugin code can use besides the names that dynacode provides. */
export interface TypeContext {
  /** Names that the app provides, of any type. */
  readonly globals?: readonly string[]
  /** Paths of `.d.ts` files that declare such names. */
  readonly declarations?: readonly string[]
}

/** The declarations of `dynacode/plugin`: in the folder beside this file's, in `dist` as in the sources. */
const DECLARATIONS = fileURLToPath(new URL('../plugin/index.js', import.meta.url))

/**
 * Checks the types of all these plugins together.
 *
 * @param typescript the compiler: TypeScript 5 or later
 * @returns the type errors, in the order of the plugins
 * @throws Error if the types of Koa are not installed
 */
export function checkTypes(
  typescript: typeof ts,
  plugins: readonly PluginSource[],
  { globals = [], declarations = [] }: TypeContext = {},
): readonly TypeFault[] {
  const options = createOptions(typescript)
  const host = typescript.createCompilerHost(options, true)
  refuseWithoutKoa(typescript, options, host)
  const folder = join(dirname(DECLARATIONS), 'checked-plugins')
  const wrapped = plugins.map((plugin, index) =>
    wrapPlugin(plugin, normalize(DECLARATIONS), join(folder, String(index))),
  )
  const texts = new Map(wrapped.map(({ path, text }) => [normalize(path), text]))
  for (const [index, { params = [] }] of plugins.entries()) {
    texts.set(normalize(join(folder, `${index}.params.d.ts`)), `export type Params = ${describeParams(params)}\n`)
  }
  const named = join(folder, 'globals.d.ts')
  texts.set(normalize(named), globals.map((name) => `declare var ${name}: any\n`).join(''))
  serve(typescript, host, texts)
  const program = typescript.createProgram([named, ...declarations, ...wrapped.map(({ path }) => path)], options, host)
  return wrapped.flatMap((plugin) => readFaults(typescript, program, plugin))
}

/** As strict as JavaScript can be without writing types. */
function createOptions({ ModuleKind, ModuleResolutionKind, ScriptTarget }: typeof ts): ts.CompilerOptions {
  return {
    strict: true,
    noImplicitAny: false,
    useUnknownInCatchVariables: false,
    allowJs: true,
    checkJs: true,
    noEmit: true,
    skipLibCheck: true,
    types: [],
    lib: ['lib.es2023.d.ts'],
    target: ScriptTarget.ES2022,
    module: ModuleKind.NodeNext,
    moduleResolution: ModuleResolutionKind.NodeNext,
    allowImportingTsExtensions: true,
    erasableSyntaxOnly: true,
  }
}

function refuseWithoutKoa(typescript: typeof ts, options: ts.CompilerOptions, host: ts.CompilerHost): void {
  const { resolvedModule } = typescript.resolveModuleName('koa', DECLARATIONS, options, host)
  if (resolvedModule !== undefined && /\.d\.[cm]?ts$/.test(resolvedModule.resolvedFileName)) return
  throw new Error('the types of Koa are not installed: npm install --save-dev @types/koa')
}

/** Files that are nowhere on the disk. */
function serve(typescript: typeof ts, host: ts.CompilerHost, texts: ReadonlyMap<string, string>): void {
  const { fileExists, readFile, getSourceFile, directoryExists } = host
  const textOf = (path: string) => texts.get(normalize(path))
  const folders = new Set([...texts.keys()].map((path) => path.slice(0, path.lastIndexOf('/'))))
  host.fileExists = (path) => textOf(path) !== undefined || fileExists(path)
  host.readFile = (path) => textOf(path) ?? readFile(path)
  host.directoryExists = (path) => folders.has(normalize(path)) || (directoryExists?.(path) ?? existsSync(path))
  host.getSourceFile = (path, target, ...rest) => {
    const text = textOf(path)
    return text === undefined
      ? getSourceFile(path, target, ...rest)
      : typescript.createSourceFile(path, text, target, true)
  }
}

function readFaults(typescript: typeof ts, program: ts.Program, { path, plugin, toPlace }: WrappedPlugin): TypeFault[] {
  const file = program.getSourceFile(path)
  const syntactic = program.getSyntacticDiagnostics(file)
  // What does not parse is no code of which more could be said.
  const found = syntactic.length > 0 ? syntactic : program.getSemanticDiagnostics(file)
  return found.map(({ start = 0, messageText, code }) => {
    const message = typescript.flattenDiagnosticMessageText(messageText, '\n')
    return Object.freeze({ plugin: plugin.name, ...toPlace(start), message, code })
  })
}

/** As TypeScript writes paths. */
function normalize(path: string): string {
  return path.replaceAll('\\', '/')
}
