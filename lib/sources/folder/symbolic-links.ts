import { readlink } from 'node:fs/promises'
import { join, parse, resolve, sep } from 'node:path'

/** Links that lead to links; Linux follows as many. */
const LONGEST_CHAIN = 40

/** Finds the symbolic links that an absolute path leads through, itself included. */
export async function linksOf(path: string, hops = LONGEST_CHAIN): Promise<readonly string[]> {
  const { root } = parse(path)
  const names = path.slice(root.length).split(sep)
  let at = root
  for (const [index, name] of names.entries()) {
    const target = await readlink(join(at, name)).catch(() => undefined)
    if (target !== undefined && hops > 0) {
      return [join(at, name), ...(await linksOf(resolve(at, target, ...names.slice(index + 1)), hops - 1))]
    }
    at = join(at, name)
  }
  return []
}
