import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { build } from 'esbuild'

/** A folder with all that a child needs, and nothing else: no link leads out of it. */
export interface Bundle {
  /** The child and whatever it imports, as one file. */
  readonly file: string
  /** An empty folder, for something to be mounted on. */
  readonly root: string
  remove(): Promise<void>
}

/** What is bundled may be CommonJS. */
const BANNER = "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);"

/** Makes it, in a folder that any user can read and this one alone can write. */
export async function bundleChild(): Promise<Bundle> {
  const folder = await mkdtemp(join(tmpdir(), 'studio-try-'))
  const file = join(folder, 'child.mjs')
  const root = join(folder, 'root')
  try {
    await mkdir(root)
    await build({
      entryPoints: [join(import.meta.dirname, 'child.mjs')],
      bundle: true,
      platform: 'node',
      format: 'esm',
      target: 'node20',
      outfile: file,
      banner: { js: BANNER },
      logLevel: 'silent',
    })
    for (const path of [folder, root]) await chmod(path, 0o755)
    await chmod(file, 0o644)
  } catch (error) {
    await rm(folder, { recursive: true, force: true })
    throw error
  }
  return Object.freeze({ file, root, remove: () => rm(folder, { recursive: true, force: true }) })
}
