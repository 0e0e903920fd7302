// Reads a folder of plugins: `dynacode.json` is the document, with `"file": "cors.js"` where `"code"` would stand.
import { readFile } from 'node:fs/promises'
import { isAbsolute, join, normalize, sep } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

/** The name of the file that holds the document. */
const MANIFEST = 'dynacode.json'

/** The document that the folder makes, as JSON text, or what is wrong with the folder. */
export type Reading = { readonly document: string } | { readonly error: string }

/** An editor empties a file before it writes it, or moves another into its place; both take less than this. */
const SETTLE_MS = 50

/**
 * Makes a function that reads the folder. A change counts once it was read twice, 50 ms apart, so that nobody gets a half
 * written plugin. As long as nothing changes, the function returns the same object.
 */
export function createPluginFolder(folder: string): () => Promise<Reading> {
  let settled: Reading | undefined

  return async function read() {
    let last = settled
    let reading = await tryReading(folder)
    while (!isSame(reading, last)) {
      last = reading
      await sleep(SETTLE_MS)
      reading = await tryReading(folder)
    }
    if (settled === undefined || !isSame(reading, settled)) settled = reading
    return settled
  }
}

/**
 * Reads the folder once.
 *
 * @returns the document as JSON text
 * @throws Error that names the file and what is wrong with it
 */
export async function readPluginFolder(folder: string): Promise<string> {
  const manifest = parseManifest(await readText(folder, MANIFEST))
  // One after the other: with two files missing, it is the first that is reported, every time.
  for (const { plugin, path } of pluginsOf(manifest)) {
    const { file, ...rest } = plugin
    if (file === undefined) continue
    const where = `${MANIFEST}: ${path}.file`
    if ('code' in rest) throw new Error(`${where}: stands beside code, expected one of them`)
    if (typeof file !== 'string' || !isInside(file)) {
      throw new Error(`${where}: expected the name of a file in this folder, got ${JSON.stringify(file)}`)
    }
    delete plugin.file
    plugin.code = await readText(folder, file, ` (${MANIFEST} names it at ${path})`)
  }
  return JSON.stringify(manifest)
}

async function tryReading(folder: string): Promise<Reading> {
  try {
    return { document: await readPluginFolder(folder) }
  } catch (error) {
    return { error: (error as Error).message }
  }
}

function isSame(a: Reading, b: Reading | undefined): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}

async function readText(folder: string, file: string, reason = ''): Promise<string> {
  try {
    return await readFile(join(folder, file), 'utf8')
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    const what = code === 'ENOENT' ? `there is no such file in ${folder}` : `cannot be read from ${folder}: ${code}`
    throw new Error(`${file}: ${what}${reason}`, { cause })
  }
}

function parseManifest(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new Error(`${MANIFEST}: ${(cause as Error).message}${describePlace(text, cause as Error)}`, { cause })
  }
}

/** Newer versions of Node say the line themselves. */
function describePlace(text: string, { message }: Error): string {
  const position = /at position (\d+)$/.exec(message)?.[1]
  return position === undefined ? '' : ` (line ${text.slice(0, Number(position)).split('\n').length})`
}

type Fields = Record<string, unknown>

/** Every plugin of the document that is an object. What has another shape is for dynacode to judge. */
function pluginsOf(manifest: unknown): { plugin: Fields; path: string }[] {
  if (!isObject(manifest)) throw new Error(`${MANIFEST}: expected an object`)
  const lists = [
    { plugins: manifest.plugins, path: 'plugins' },
    ...arrayOf(manifest.domains).map((domain, index) => ({
      plugins: isObject(domain) ? domain.plugins : [],
      path: `domains[${index}].plugins`,
    })),
  ]
  return lists.flatMap(({ plugins, path }) =>
    arrayOf(plugins).flatMap((plugin, index) => (isObject(plugin) ? [{ plugin, path: `${path}[${index}]` }] : [])),
  )
}

function arrayOf(value: unknown): unknown[] {
  return Array.isArray(value) ? value : []
}

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isInside(file: string): boolean {
  return file !== '' && !isAbsolute(file) && normalize(file).split(sep)[0] !== '..'
}
