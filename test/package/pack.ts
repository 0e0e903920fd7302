import { execFileSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'

export const ROOT = join(import.meta.dirname, '..', '..')

/** Builds the package and packs it into an empty folder, as `npm publish` would; returns the tarball's path. */
export function pack(into: string): string {
  execFileSync('npm', ['pack', '--silent', '--pack-destination', into], {
    cwd: ROOT,
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const tarball = readdirSync(into).find((file) => file.endsWith('.tgz'))
  if (!tarball) throw new Error(`npm pack left no tarball in ${into}`)
  return join(into, tarball)
}
