// Installs the packed tarball into empty folders and runs it on every supported Node, with both supported Koas.
import { execFileSync, spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pack } from '../package/pack.ts'

// The first is the lower bound that package.json's `engines` promises.
const NODES = ['20.19.0', '20', '22', '24', '26']
// The lower bound and the newest of what `peerDependencies` promises.
const KOAS = ['2.16.0', '3']
const SMOKES = ['smoke.mjs', 'smoke.cjs', 'plugin-app.mjs', 'command-line.mjs', 'internals.mjs', 'language.mjs']
// A process that hasn't ended by itself by then is held open by something.
const TIMEOUT_MS = 20_000

const folder = mkdtempSync(join(tmpdir(), 'dynacode-nodes-'))

try {
  const tarball = pack(folder)
  const apps = KOAS.map((koa) => ({ koa, path: install(`koa-${koa}`, [tarball, `koa@${koa}`]) }))
  for (const { path } of apps) {
    for (const file of ['scenario.cjs', 'newer-syntax.json', ...SMOKES])
      cpSync(join(import.meta.dirname, file), join(path, file))
  }
  const metrics = install('metrics', [tarball, 'koa@3', 'prom-client@15.1.0'])
  cpSync(join(import.meta.dirname, 'metrics.mjs'), join(metrics, 'metrics.mjs'))
  const nodes = install(
    'nodes',
    NODES.map((version) => `node-${version}@npm:node-${process.platform}-${process.arch}@${version}`),
  )

  for (const version of NODES) {
    const node = join(nodes, 'node_modules', `node-${version}`, 'bin', 'node')
    const failures = [
      ...apps.flatMap(({ koa, path }) => SMOKES.flatMap((smoke) => tryOut(node, path, smoke, koa))),
      ...tryOut(node, metrics, 'metrics.mjs', '3'),
    ]
    console.log(`node ${version} (${nameOf(node)}): ${failures.length === 0 ? 'ok' : 'FAILED'}`)
    for (const failure of failures) console.log(failure)
    if (failures.length > 0) process.exitCode = 1
  }
} finally {
  rmSync(folder, { recursive: true, force: true })
}

function install(name: string, packages: string[]): string {
  const path = join(folder, name)
  mkdirSync(path)
  writeFileSync(join(path, 'package.json'), JSON.stringify({ name: 'smoke', private: true }))
  execFileSync('npm', ['install', '--silent', '--no-fund', '--no-audit', '--ignore-scripts', ...packages], {
    cwd: path,
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  return path
}

function nameOf(node: string): string {
  return execFileSync(node, ['--version'], { encoding: 'utf8' }).trim()
}

function tryOut(node: string, cwd: string, smoke: string, koa: string): string[] {
  const { status, signal, stderr, error } = spawnSync(node, [smoke], { cwd, encoding: 'utf8', timeout: TIMEOUT_MS })
  if (status === 0) return []
  const timedOut = error !== undefined && 'code' in error && error.code === 'ETIMEDOUT'
  const end = timedOut ? `did not end within ${TIMEOUT_MS} ms` : (error?.message ?? `ended with ${signal ?? status}`)
  return [`  ${smoke} with koa ${koa}: ${end}\n${stderr}`]
}
