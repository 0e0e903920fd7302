import { join } from 'node:path'
import ts from 'typescript'
import type { PluginScope, ScopeName } from './editor/completions.ts'

/** How far into objects names are told. */
const DEPTH = 3

/** Reads `dynacode/plugin` with the compiler. */
export function describePluginScope(): PluginScope {
  const file = join(import.meta.dirname, 'scope.ts')
  const text = "import type { ScopeTable } from 'dynacode/plugin'\nexport declare const table: ScopeTable\n"
  const options: ts.CompilerOptions = {
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    target: ts.ScriptTarget.ES2022,
    lib: ['lib.es2023.d.ts'],
    types: ['node'],
    strict: true,
    skipLibCheck: true,
  }
  const host = ts.createCompilerHost(options)
  const { getSourceFile, fileExists, readFile } = host
  host.fileExists = (path) => path === file || fileExists(path)
  host.readFile = (path) => (path === file ? text : readFile(path))
  host.getSourceFile = (path, ...rest) =>
    path === file ? ts.createSourceFile(path, text, ts.ScriptTarget.ES2022) : getSourceFile(path, ...rest)
  const program = ts.createProgram([file], options, host)
  const checker = program.getTypeChecker()
  const source = program.getSourceFile(file) as ts.SourceFile
  const table = source.statements.find(ts.isVariableStatement)?.declarationList.declarations[0] as ts.Declaration
  const faults = program.getSemanticDiagnostics(source)
  if (faults.length > 0) throw new Error(ts.flattenDiagnosticMessageText(faults[0]?.messageText, '\n'))

  const members: Record<string, readonly ScopeName[]> = {}
  const typeOf = (symbol: ts.Symbol) => checker.getTypeOfSymbolAtLocation(symbol, source)

  function describe(symbol: ts.Symbol): ScopeName {
    const type = typeOf(symbol)
    const told = [symbol, type.aliasSymbol, type.symbol].map((of) =>
      ts.displayPartsToString(of?.getDocumentationComment(checker)),
    )
    const doc = (told.find((words) => words.trim() !== '') ?? '').trim().replace(/\s+/g, ' ')
    const [call] = type.getCallSignatures()
    const written = call === undefined ? checker.typeToString(type) : checker.signatureToString(call)
    return {
      name: symbol.name,
      kind: type.getCallSignatures().length > 0 ? 'function' : 'property',
      type: written.length > 80 ? `${written.slice(0, 79)}…` : written,
      doc: doc.length > 240 ? `${doc.slice(0, 239)}…` : doc,
    }
  }

  function walk(path: string, type: ts.Type, depth: number, seen: readonly ts.Type[]): void {
    if (members[path] !== undefined || seen.includes(type)) return
    // What is inside of text, lists, functions and Node's own objects is no news.
    if (type.getCallSignatures().length > 0 || !(type.flags & (ts.TypeFlags.Object | ts.TypeFlags.Intersection))) return
    if (checker.isArrayType(type)) return
    const properties = checker
      .getPropertiesOfType(type)
      .filter(({ name }) => /^[a-z]\w*$/i.test(name) && !/^(inspect|toJSON|toString|constructor)$/.test(name))
    if (properties.length === 0) return
    members[path] = properties.map(describe)
    if (depth === 1) return
    for (const property of properties) {
      if (/^(app|req|res|socket|URL|ctx)$/.test(property.name)) continue
      if (depth < DEPTH && /^(request|response)$/.test(property.name)) continue
      walk(`${path}.${property.name}`, checker.getNonNullableType(typeOf(property)), depth - 1, [...seen, type])
    }
  }

  const phases: Record<string, readonly ScopeName[]> = {}
  for (const phase of checker.getPropertiesOfType(checker.getTypeAtLocation(table))) {
    const names = checker.getPropertiesOfType(typeOf(phase))
    phases[phase.name] = names.map(describe)
    for (const name of names) walk(name.name, typeOf(name), name.name === 'ctx' ? DEPTH : 1, [])
  }
  return { phases, members }
}
