// Checks the packed tarball as somebody would get it: its files, its manifest, its types.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { isBuiltin } from 'node:module'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import ts from 'typescript'
import { readPages } from '../docs/pages.ts'
import { tryGettingStarted } from './getting-started.ts'
import { pack, ROOT } from './pack.ts'

// Inside the checkout, so that the consumer finds the package's dependencies in node_modules above it.
mkdirSync(join(ROOT, '.reports'), { recursive: true })
const folder = mkdtempSync(join(ROOT, '.reports', 'package-'))

try {
  const tarball = pack(folder)
  const target = unpack(tarball)
  checkFiles(target)
  checkLinks(target)
  checkImports(target)
  run('publint', ['run', tarball, '--strict'])
  run('attw', [tarball, '--profile', 'esm-only', '--format', 'ascii'])
  checkTypes()
  checkEntries()
  await tryCommandLine(target)
  await tryGettingStarted(folder, join(target, 'dist', 'cli', 'main.js'))
  console.log(
    'package: files, links, imports, publint, attw, types, entries, the command line and the first steps are fine',
  )
} catch (error) {
  // A tool that ran has said what is wrong; anything else speaks for itself.
  if (!(error instanceof Error && 'status' in error)) console.error(error)
  process.exitCode = 1
} finally {
  rmSync(folder, { recursive: true, force: true })
}

function run(tool: string, args: string[]): void {
  execFileSync('npx', ['--no-install', tool, ...args], { cwd: ROOT, stdio: ['ignore', 'inherit', 'inherit'] })
}

function unpack(tarball: string): string {
  const target = join(folder, 'node_modules', 'dynacode')
  mkdirSync(target, { recursive: true })
  execFileSync('tar', ['-xzf', tarball, '-C', target, '--strip-components=1'])
  return target
}

function checkFiles(target: string): void {
  const pages = ['ARCHITECTURE.md', 'CONTRIBUTING.md', 'README.md', 'SECURITY.md']
  const expected = [...pages, 'LICENSE', 'dist', 'docs', 'package.json', 'schema.json'].sort()
  const found = readdirSync(target).sort()
  if (found.join() !== expected.join()) throw new Error(`the tarball should hold ${expected}; it holds ${found}`)

  const strays = readdirSync(join(target, 'dist'), { recursive: true, encoding: 'utf8', withFileTypes: true })
    .filter((entry) => entry.isFile() && !/\.(js|js\.map|d\.ts)$/.test(entry.name))
    .map((entry) => entry.name)
  if (strays.length > 0) throw new Error(`dist should hold .js, .js.map and .d.ts files only; it also holds ${strays}`)
}

/** Checks that the README's links lead somewhere for whoever has nothing but the package. */
function checkLinks(target: string): void {
  const links = readPages().find(({ file }) => file === 'README.md')?.links ?? []
  const dead = links.filter((link) => !/^(https?:|#)/.test(link) && !existsSync(join(target, link.split('#')[0] ?? '')))
  if (links.length === 0 || dead.length > 0) throw new Error(`links of the README lead nowhere in the package: ${dead}`)
}

/** Checks that code and types import only what is installed with the package, or what its user has. */
function checkImports(target: string): void {
  const manifest = JSON.parse(readFileSync(join(target, 'package.json'), 'utf8'))
  const installed = new Set(Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies }))
  const files = readdirSync(join(target, 'dist'), { recursive: true, encoding: 'utf8' })
  for (const file of files.filter((name) => /\.(js|d\.ts)$/.test(name))) {
    const { importedFiles } = ts.preProcessFile(readFileSync(join(target, 'dist', file), 'utf8'))
    for (const { fileName } of importedFiles) {
      const [name] = /^(@[^/]+\/)?[^/]+/.exec(fileName) as unknown as [string]
      const isOwn = fileName.startsWith('.') || fileName.startsWith('node:') || isBuiltin(name)
      if (!isOwn && !installed.has(name)) throw new Error(`dist/${file} imports ${fileName}, which is not installed`)
    }
  }
}

/** Runs a program of a user's that loads every entry. */
function checkEntries(): void {
  const path = join(folder, 'entries.js')
  cpSync(join(import.meta.dirname, 'entries.mjs'), path)
  for (const flags of [[], ['--enable-source-maps']]) {
    execFileSync(process.execPath, [...flags, path], { cwd: folder, stdio: ['ignore', 'inherit', 'inherit'] })
  }
}

/** Compiles a program of a user's against the unpacked declarations, which are themselves checked too. */
function checkTypes(): void {
  cpSync(join(import.meta.dirname, 'consumer.ts'), join(folder, 'consumer.ts'))
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ type: 'module' }))
  const options = ['--strict', '--noEmit', '--module', 'nodenext', '--target', 'es2022', '--types', 'node']
  run('tsc', [...options, join(folder, 'consumer.ts')])
  checkEditor()
}

/** Compiles a plugin as an editor sees it: `@ts-expect-error` says what it has to underline. */
function checkEditor(): void {
  const path = join(folder, 'plugin.js')
  writeFileSync(
    path,
    `/// <reference types="dynacode/plugin/body_filter" />
if (ctx.status !== 200) exit(502)
// @ts-expect-error a misspelt name
stroe.get(params.key)
// @ts-expect-error a misspelt member
ctx.boddy = await fetch('http://localhost', { signal })
// @ts-expect-error TypeScript knows no file that is the body of a function
if (last) return String(chunk).length
`,
  )
  const options = ['--allowJs', '--checkJs', '--strict', '--noEmit', '--moduleDetection', 'force', '--lib', 'es2023']
  run('tsc', [...options, '--module', 'nodenext', '--target', 'es2022', '--types', 'node', path])
}

/** Begins a project with the package's own command, as `npx` would call it, and runs what it says comes next. */
async function tryCommandLine(target: string): Promise<void> {
  const { bin } = JSON.parse(readFileSync(join(target, 'package.json'), 'utf8')) as { bin: { dynacode: string } }
  const main = join(target, bin.dynacode)
  if (!readFileSync(main, 'utf8').startsWith('#!/usr/bin/env node\n')) throw new Error(`${bin.dynacode} has no shebang`)
  const project = join(folder, 'project')
  const node = (...words: string[]) =>
    execFileSync(process.execPath, words, {
      cwd: words.includes('init') ? folder : project,
      stdio: ['ignore', 'pipe', 'inherit'],
    })
  node(main, 'init', 'project')
  node(main, 'check', 'plugins', '--types')
  node('--test')
  node(main, 'run', 'plugins', 'GET', 'http://localhost/hello')
  await tryLive(main, project)
}

/** Serves the project and starts its app, and changes the plugin while both are running. */
async function tryLive(main: string, project: string): Promise<void> {
  const started: ChildProcess[] = []
  const start = async (words: string[], env: Record<string, string> = {}): Promise<string> => {
    const child = spawn(process.execPath, words, {
      cwd: project,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    started.push(child)
    for await (const line of createInterface(child.stdout)) {
      const [uri] = /http:\S+/.exec(line) ?? []
      if (uri !== undefined) return uri
    }
    throw new Error(`node ${words.join(' ')} did not say where it listens`)
  }
  try {
    const api = await start([main, 'serve', 'plugins', '--port', '0'])
    const app = await start(['app.js'], { PORT: '0', PLUGIN_API_URI: api })
    await answers(app, 'hello world\n')
    writeFileSync(join(project, 'plugins', 'hello.js'), "if (ctx.path === '/hello') say('changed')\n")
    await answers(app, 'changed\n')
  } finally {
    for (const child of started) {
      child.kill('SIGKILL')
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
    }
  }
}

async function answers(app: string, expected: string): Promise<void> {
  let came = ''
  for (let tries = 0; tries < 100; tries += 1) {
    came = await (await fetch(new URL('/hello', app))).text()
    if (came === expected) return
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  throw new Error(`the app of a new project answers ${JSON.stringify(came)}, expected ${JSON.stringify(expected)}`)
}
