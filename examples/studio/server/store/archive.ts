import { pipeline } from 'node:stream/promises'
import { createGunzip, gzipSync } from 'node:zlib'
import { type Extract, extract, pack } from 'tar-stream'
import { Problem } from '../problem.ts'

/** Of all files of an archive together, unpacked. */
const LARGEST = 64 * 1024 * 1024
const MOST_FILES = 100_000

/** Puts files into a `tar.gz`, in a folder; the same files make the same bytes. */
export async function packArchive(folder: string, files: ReadonlyMap<string, string>): Promise<Buffer> {
  const archive = pack()
  for (const [name, content] of files) archive.entry({ name: `${folder}/${name}`, mtime: new Date(0) }, content)
  archive.finalize()
  const parts: Buffer[] = []
  for await (const part of archive) parts.push(part as Buffer)
  return gzipSync(Buffer.concat(parts))
}

/**
 * Reads the files of a `tar.gz` into memory: nothing is written, wherever the names in it lead. Names are from the folder on
 * in which there is a `dynacode.json`, the outermost where there are several.
 *
 * @throws Problem for what is no such archive, or too large
 */
export async function readArchive(bytes: Buffer): Promise<ReadonlyMap<string, string>> {
  try {
    return findFolder(await readEntries((archive) => pipeline([bytes], createGunzip(), limit(LARGEST), archive)))
  } catch (error) {
    if (error instanceof Problem) throw error
    throw new Problem(422, `archive: expected a tar.gz: ${(error as Error).message}`, {
      fields: { archive: 'expected a tar.gz' },
    })
  }
}

/** Reads the files of a `tar` into memory, by their names; what is no file, such as a link, is left out. */
export function readTar(bytes: Buffer): Promise<ReadonlyMap<string, string>> {
  return readEntries((archive) => pipeline([bytes], archive))
}

async function readEntries(fill: (archive: Extract) => Promise<void>): Promise<ReadonlyMap<string, string>> {
  const files = new Map<string, string>()
  const archive = extract()
  const reading = (async () => {
    for await (const entry of archive) {
      const parts: Buffer[] = []
      for await (const part of entry) parts.push(part as Buffer)
      if (entry.header.type === 'file')
        files.set(entry.header.name.replace(/^\.\//, ''), Buffer.concat(parts).toString())
      if (files.size > MOST_FILES) throw tooLarge()
    }
  })()
  try {
    await Promise.all([fill(archive), reading])
    return files
  } catch (error) {
    archive.destroy()
    await reading.catch(() => undefined)
    throw error
  }
}

function limit(max_bytes: number) {
  return async function* count(parts: AsyncIterable<Buffer>) {
    let bytes = 0
    for await (const part of parts) {
      bytes += part.length
      // A few kilobytes may stand for gigabytes.
      if (bytes > max_bytes) throw tooLarge()
      yield part
    }
  }
}

function tooLarge(): Problem {
  const message = `archive: expected at most ${MOST_FILES} files of ${LARGEST} bytes together`
  return new Problem(413, message, { fields: { archive: 'is too large' } })
}

function findFolder(files: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  const [manifest] = [...files.keys()]
    .filter((name) => /(^|\/)dynacode\.json$/.test(name))
    .sort((a, b) => a.length - b.length)
  const folder = manifest?.slice(0, -'dynacode.json'.length) ?? ''
  return new Map(
    [...files].flatMap(([name, content]) => (name.startsWith(folder) ? [[name.slice(folder.length), content]] : [])),
  )
}
