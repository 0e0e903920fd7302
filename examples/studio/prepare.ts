// Makes what the studio needs to start, as far as it is not up to date: the package, the studio's packages, its pages.
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { bringUpToDate } from './up-to-date.ts'

const STUDIO = import.meta.dirname
const ROOT = join(STUDIO, '..', '..')
const inRoot = (...names: string[]) => names.map((name) => join(ROOT, name))
const inStudio = (...names: string[]) => names.map((name) => join(STUDIO, name))

/** By the npm that runs this, where there is one: on Windows, `npm` is no program. */
function npm(folder: string, ...words: string[]): void {
  const { npm_execpath } = process.env
  const [program, first] =
    npm_execpath === undefined ? (['npm', []] as const) : ([process.execPath, [npm_execpath]] as const)
  execFileSync(program, [...first, ...words], { cwd: folder, stdio: 'inherit' })
}

const steps = [
  {
    name: 'dynacode',
    inputs: inRoot(
      'lib',
      '.build',
      'docs/document.md',
      'package.json',
      'package-lock.json',
      'tsconfig.json',
      'tsconfig.build.json',
    ),
    output: join(ROOT, 'dist/index.js'),
    make: () => npm(ROOT, 'run', 'build'),
  },
  {
    name: 'the packages of the studio',
    inputs: inStudio('package.json', 'package-lock.json', '.npmrc'),
    output: join(STUDIO, 'node_modules/.package-lock.json'),
    make: () => npm(STUDIO, 'ci', '--no-audit', '--no-fund'),
  },
  {
    name: 'the pages of the studio',
    inputs: inStudio('web', 'shared'),
    output: join(STUDIO, 'dist/index.html'),
    make: () => npm(STUDIO, 'run', 'build'),
  },
]

try {
  bringUpToDate(steps, join(STUDIO, '.up-to-date.json'), (name) => console.log(`building ${name}…`))
} catch (error) {
  // What npm says of it stands above.
  console.error(`the studio cannot be started: ${(error as Error).message}`)
  process.exit(1)
}
