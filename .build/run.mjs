// Builds the package into dist: the code bundled, each entry of package.json where it says, and the types file by file.
import { execFileSync } from 'node:child_process'
import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { builtinModules } from 'node:module'
import { dirname, join } from 'node:path'
import { build } from 'rolldown'
import { esmExternalRequirePlugin } from 'rolldown/plugins'
import ts from 'typescript'

const ROOT = join(import.meta.dirname, '..')
const DIST = join(ROOT, 'dist')
const { exports, bin, dependencies, peerDependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))

/** The sources of what package.json lets others load, by their paths in dist. */
const entries = [...Object.values(exports).map((entry) => entry.default), ...Object.values(bin)]
  .map((path) => /^\.\/dist\/(.*)\.js$/.exec(path)?.[1])
  .filter((name) => name !== undefined)
/** What is installed beside the package stays there. */
const installed = Object.keys({ ...dependencies, ...peerDependencies })
/**
 * What is taken in, so that nobody installs and loads the greater part of it that is of no use here. CommonJS is: Node would
 * look through its text for names when it is imported, which takes longer than all of the rest.
 */
const taken = ['@eslint-community/regexpp', 'lru-cache', 'on-headers', 'path-to-regexp', 'secure-json-parse', 'zod']
const isTaken = (id) => taken.some((name) => id.includes(`/node_modules/${name}/`))

function licenseOf(name) {
  const folder = join(ROOT, 'node_modules', name)
  const file = readdirSync(folder).find((each) => each.startsWith('LICENSE'))
  return `${name}\n\n${readFileSync(join(folder, file), 'utf8')}`
}

const common = {
  cwd: ROOT,
  platform: 'node',
  external: (id) => id.startsWith('node:') || installed.some((name) => id === name || id.startsWith(`${name}/`)),
  transform: { target: 'node20.19' },
  // CommonJS that is taken in imports what it requires of Node: `require` would be missing where an app is bundled once more.
  plugins: [esmExternalRequirePlugin({ external: builtinModules })],
}

/** The modules that an entry loads at once, rather than when it needs them. */
async function modulesOf(name) {
  const { output } = await build({ ...common, input: `lib/${name}.ts`, write: false })
  const loaded = new Set([output[0]])
  for (const { imports } of loaded) {
    for (const file of imports) loaded.add(output.find(({ fileName }) => fileName === file))
    loaded.delete(undefined)
  }
  return new Set([...loaded].flatMap(({ moduleIds }) => moduleIds))
}
const whole = await modulesOf('index')
const forCommands = await modulesOf('cli/main')

rmSync(DIST, { recursive: true, force: true })
const { output } = await build({
  ...common,
  input: Object.fromEntries(entries.map((name) => [name, `lib/${name}.ts`])),
  output: {
    dir: 'dist',
    format: 'esm',
    // What several entries share is in chunks of its own, once: classes of one entry are those of another.
    chunkFileNames: 'chunks/[name]-[hash].js',
    codeSplitting: {
      groups: [
        { name: 'packages', test: isTaken, priority: 3 },
        // In few files: each takes its time. The first is all that `dynacode --version` loads of the second.
        { name: 'base', test: (id) => whole.has(id) && forCommands.has(id), priority: 2 },
        { name: 'core', test: (id) => whole.has(id), priority: 1 },
      ],
    },
    banner: ({ name }) => (name === 'packages' ? `/*!\n${taken.map(licenseOf).join('\n\n')}*/` : ''),
    comments: { legal: true, annotation: true, jsdoc: false },
    // For `node --enable-source-maps`: our files and lines, in stack traces.
    sourcemap: true,
    sourcemapExcludeSources: true,
  },
})
// Node keeps a file's text as long as the process lives: twice as large where one character of it is beyond Latin-1.
for (const { fileName, code } of output) {
  if (code === undefined) continue
  const escaped = (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`
  writeFileSync(join(DIST, fileName), code.replace(/[^\0-\x7f]/g, escaped))
}
// Nothing else gets in because somebody forgot to make it a dependency.
for (const id of output.flatMap(({ moduleIds = [] }) => moduleIds)) {
  if (id.includes('/node_modules/') && !isTaken(id)) {
    throw new Error(`${id} is bundled, but package.json does not have it as a dependency`)
  }
}
await writeJsonSchema()
execFileSync(process.execPath, [join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', 'tsconfig.build.json'], {
  cwd: ROOT,
  stdio: 'inherit',
})
// Declarations that no code imports: TypeScript leaves such where they are.
cpSync(join(ROOT, 'lib/plugin/phases'), join(DIST, 'plugin/phases'), { recursive: true })
leaveOnly(reachable(Object.values(exports).flatMap(({ types }) => (types?.includes('*') === false ? [types] : []))))

/** For editors: "$schema": "node_modules/dynacode/schema.json". */
async function writeJsonSchema() {
  const file = join(DIST, 'json-schema.js')
  await build({ ...common, input: join(ROOT, '.build/json-schema.ts'), output: { file, format: 'esm' } })
  const { createJsonSchema, SCHEMA_PAGES } = await import(file)
  const schema = createJsonSchema(SCHEMA_PAGES.map((page) => readFileSync(join(ROOT, page), 'utf8')).join('\n\n'))
  writeFileSync(join(ROOT, 'schema.json'), `${JSON.stringify(schema, undefined, 2)}\n`)
  rmSync(file)
}

/** The declarations that these need, themselves among them. */
function reachable(paths) {
  const found = new Set(paths.map((path) => join(ROOT, path)))
  for (const path of found) {
    for (const { fileName } of ts.preProcessFile(readFileSync(path, 'utf8')).importedFiles) {
      if (fileName.startsWith('.')) found.add(join(dirname(path), fileName.replace(/\.[jt]s$/, '.d.ts')))
    }
  }
  return found
}

/** Deletes the declarations of what is inside the package, and is nobody's to import. */
function leaveOnly(kept) {
  for (const name of readdirSync(DIST, { recursive: true })) {
    const path = join(DIST, name)
    if (path.endsWith('.d.ts') && !kept.has(path) && !name.startsWith(join('plugin', 'phases'))) rmSync(path)
  }
}
