import { basename, join } from 'node:path'
import { type CachePlace, syncFolder, unlinkIf } from './file.ts'
import { cacheError, findFolder, lookAt, openFolder } from './safety.ts'

/**
 * Keeps a number that only grows, as the name of an empty file. There is nothing in it that could be damaged, and of
 * several processes that note something at once the highest stays, whoever comes last.
 */
export interface VersionMark {
  highest(): number | undefined
  note(version: number): Promise<void>
}

export function openVersionMark({ fs, path, folder }: CachePlace): VersionMark {
  const before = `${basename(path)}.version-`

  /** Names of our own files; anybody may put others into a folder like /tmp. */
  function marks(): { file: string; version: number }[] {
    if (!findFolder(fs, folder)) return []
    return fs
      .readdirSync(folder)
      .filter((name) => name.startsWith(before) && /^-?\d+$/.test(name.slice(before.length)))
      .map((name) => ({ file: join(folder, name), version: Number(name.slice(before.length)) }))
      .filter(({ file }) => isOurs(file))
  }

  function isOurs(file: string): boolean {
    const found = lookAt(fs, file)
    return found?.isFile() === true && (process.geteuid === undefined || found.uid === process.geteuid())
  }

  function highest(): number | undefined {
    return marks().reduce<number | undefined>(
      (most, { version }) => (most === undefined || version > most ? version : most),
      undefined,
    )
  }

  async function create(version: number): Promise<void> {
    openFolder(fs, folder)
    try {
      fs.closeSync(fs.openSync(join(folder, `${before}${version}`), 'wx', 0o600))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    }
    await syncFolder(fs, folder)
  }

  return Object.freeze({
    highest,
    async note(version) {
      if (version <= (highest() ?? Number.NEGATIVE_INFINITY)) return
      await create(version)
      const most = highest()
      if (most === undefined || most < version) throw cacheError(`${path}.version-${version} belongs to somebody else`)
      // Only below one that is there: so the highest one always stays, whatever others do at the same time.
      for (const mark of marks()) if (mark.version < most) unlinkIf(fs, mark.file)
    },
  } satisfies VersionMark)
}
