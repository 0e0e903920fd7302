import { execFileSync } from 'node:child_process'
import { join } from 'node:path'

const ROOT = join(import.meta.dirname, '..', '..')

/** Processes of these tests run what is built, as users have it; with DYNACODE_TEST_BUILT=1 it is built already. */
export default function setup(): void {
  if (process.env.DYNACODE_TEST_BUILT === '1') return
  execFileSync(process.execPath, [join(ROOT, '.build', 'run.mjs')], { cwd: ROOT, stdio: 'inherit' })
}
