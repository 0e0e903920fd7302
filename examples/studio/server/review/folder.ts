import { pack_document, unpack_document } from 'dynacode/tools'
import { Problem } from '../problem.ts'
import { packArchive, readArchive } from '../store/archive.ts'

/** What somebody gives to be imported: the files of a folder, or a `tar.gz` with them. */
export type GivenFolder = { readonly files: Readonly<Record<string, string>> } | { readonly archive: Uint8Array }

/** A document as a `tar.gz` of the folder format. @throws Problem when it cannot be spread over files */
export async function makeArchive(text: string): Promise<Uint8Array> {
  try {
    return await packArchive('plugins', unpack_document(text))
  } catch (error) {
    throw new Problem(422, (error as Error).message)
  }
}

/** The document that a folder makes up. @throws Problem with what is wrong with the files */
export async function readFolder(given: GivenFolder): Promise<string> {
  const [field, files] =
    'files' in given
      ? (['files', new Map(Object.entries(given.files))] as const)
      : (['archive', await readArchive(Buffer.from(given.archive))] as const)
  try {
    return await pack_document(files)
  } catch (error) {
    const { message } = error as Error
    throw new Problem(422, `${field}: ${message}`, { fields: { [field]: message } })
  }
}
