// What comes in by npm: whether the lock file pins it, under which licences it is, and what is known against it.
// node supply-chain.mjs [folder]; AUDIT=1: fails where the registry answers no audit, too.
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/** Licences that let anybody use it, without conditions for what uses it. */
const FINE = [
  '0BSD',
  'Apache-2.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'BlueOak-1.0.0',
  'CC0-1.0',
  'ISC',
  'MIT',
  'MIT-0',
  'PostgreSQL',
  'Python-2.0',
  'Unlicense',
  'Zlib',
]
/** With conditions for changes of itself alone: nothing of it goes out with what is built. */
const FINE_FOR_TOOLS = ['MPL-2.0', 'CC-BY-4.0']

const folder = process.argv[2] ?? import.meta.dirname
const { packages } = JSON.parse(readFileSync(join(folder, 'package-lock.json'), 'utf8'))
const faults = []
const counts = new Map()

for (const [path, { link, resolved = '', integrity = '', license, dev, devOptional }] of Object.entries(packages)) {
  // The package itself, and what is linked to from elsewhere in the repository.
  if (!path.includes('node_modules/') || link) continue
  const name = path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length)
  if (!/^(https:|$)/.test(resolved) || !/^sha(256|384|512)-/.test(integrity))
    faults.push(`${name} is not pinned by a hash`)
  counts.set(license, (counts.get(license) ?? 0) + 1)
  if (!isFine(license, dev || devOptional)) faults.push(`${name} is under ${license ?? 'no licence that it names'}`)
}

/** Of several that may be chosen from, one has to be. */
function isFine(license, dev) {
  if (typeof license !== 'string') return false
  const fine = dev ? [...FINE, ...FINE_FOR_TOOLS] : FINE
  const parts = license.replace(/[()]/g, '').split(/ (AND|OR) /)
  const names = parts.filter((part) => part !== 'AND' && part !== 'OR')
  return parts.includes('OR') ? names.some((name) => fine.includes(name)) : names.every((name) => fine.includes(name))
}

const sorted = [...counts].sort(([, a], [, b]) => b - a)
console.log(`licences: ${sorted.map(([license, count]) => `${license} ${count}`).join(', ')}`)

const { vulnerabilities } = audit()?.metadata ?? {}
if (vulnerabilities !== undefined) {
  const { high, critical, total } = vulnerabilities
  console.log(`known vulnerabilities: ${total}, of which high or critical: ${high + critical}`)
  if (high + critical > 0) faults.push(`npm audit --omit=dev: ${high + critical} are high or critical`)
} else if (process.env.AUDIT === '1') faults.push('the registry answers no audit')
else console.log('known vulnerabilities: the registry answers no audit here')

/** @returns undefined where nobody answers */
function audit() {
  const options = { cwd: folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }
  try {
    return JSON.parse(execFileSync('npm', ['audit', '--omit=dev', '--json'], options))
  } catch (error) {
    try {
      // It fails when it has found something as well.
      return JSON.parse(error.stdout)
    } catch {
      return undefined
    }
  }
}

for (const fault of faults) console.error(fault)
process.exitCode = faults.length === 0 ? 0 : 1
