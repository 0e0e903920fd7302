import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

const manifest = createRequire(import.meta.url).resolve('dynacode/package.json')
const main = join(dirname(manifest), 'dist', 'cli', 'main.js')
// Not elsewhere: what it begins finds the package by the folders above it.
const folder = mkdtempSync(join(import.meta.dirname, 'project-'))
const call = (...words) => execFileSync(process.execPath, [main, ...words], { cwd: folder, encoding: 'utf8' })

try {
  call('init')
  const found = JSON.parse(call('check', 'plugins', '--json'))
  if (found.plugins !== 1 || found.errors > 0 || found.warnings > 0) throw new Error(JSON.stringify(found))
  const document = JSON.parse(call('pack', 'plugins'))
  if (document.domains.length !== 1) throw new Error(JSON.stringify(document))
  const { response } = JSON.parse(call('run', 'plugins', 'GET', 'http://localhost/hello', '--json'))
  if (response.body !== 'hello world\n') throw new Error(JSON.stringify(response))
} finally {
  rmSync(folder, { recursive: true, force: true })
}
