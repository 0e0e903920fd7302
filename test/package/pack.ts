import { execFileSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'

export const ROOT = join(import.meta.dirname, '..', '..')

/**
 * Builds the package and packs it into an empty folder, as `npm publish` would; returns the tarball's path. With
 * DYNACODE_TEST_BUILT=1 it packs what .ci/run has built.
 */
export function pack(into: string): string {
  const built = process.env.DYNACODE_TEST_BUILT === '1' ? ['--ignore-scripts'] : []
  execFileSync('npm', ['pack', '--silent', ...built, '--pack-destination', into], {
    cwd: ROOT,
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const tarball = readdirSync(into).find((file) => file.endsWith('.tgz'))
  if (!tarball) throw new Error(`npm pack left no tarball in ${into}`)
  return join(into, tarball)
}
