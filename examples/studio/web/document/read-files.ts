/** What somebody gives to be imported, as the API takes it. */
export type Given =
  | { readonly document: unknown }
  | { readonly archive: string }
  | { readonly files: Readonly<Record<string, string>> }

/** The file of a folder that says what the others are. */
const MANIFEST = 'dynacode.json'
/** Of one file, in bytes; what is larger is none of a plugin's. */
const LARGEST = 4 * 1024 * 1024
const MOST_FILES = 20_000

/**
 * Reads one file: a document, or the tar.gz of a folder.
 *
 * @throws Error that says what is wrong with it
 */
export async function readFile(file: File): Promise<Given> {
  if (!file.name.endsWith('.json')) return { archive: await toBase64(file) }
  try {
    return { document: JSON.parse(await file.text()) }
  } catch (error) {
    throw new Error(`${file.name} is not valid JSON: ${(error as Error).message}`)
  }
}

/**
 * Reads a folder from where its manifest is; what editors and version control keep beside it stays out.
 *
 * @throws Error that says what is wrong with it
 */
export async function readFolder(list: readonly File[]): Promise<Given> {
  const named = list
    .map((file) => ({ file, path: file.webkitRelativePath }))
    .filter(({ path }) => !/(^|\/)(\.|node_modules\/)/.test(path))
  const [manifest] = named
    .filter(({ path }) => path === MANIFEST || path.endsWith(`/${MANIFEST}`))
    .sort((a, b) => a.path.length - b.path.length)
  if (manifest === undefined) throw new Error(`expected a folder with a file ${MANIFEST}`)
  const folder = manifest.path.slice(0, -MANIFEST.length)
  const own = named.filter(({ path, file }) => path.startsWith(folder) && file.size <= LARGEST)
  if (own.length > MOST_FILES) throw new Error(`expected at most ${MOST_FILES} files, got ${own.length}`)
  const files = await Promise.all(
    own.map(async ({ path, file }) => [path.slice(folder.length), await file.text()] as const),
  )
  return { files: Object.fromEntries(files) }
}

function toBase64(file: File): Promise<string> {
  return new Promise((resolve, reject) => {
    const reader = new FileReader()
    reader.onerror = () => reject(new Error(`${file.name} cannot be read`))
    reader.onload = () => resolve(String(reader.result).split(',')[1] ?? '')
    reader.readAsDataURL(file)
  })
}
