import { posix } from 'node:path'
import { readDocument } from '../background/reading/validator.ts'
import { DocumentError, type ParseFault } from '../errors.ts'
import { MANIFEST, readManifest } from '../sources/folder/manifest.ts'
import { isTypeScript, stripTypes } from '../sources/folder/strip-types.ts'
import { describeValue } from '../validation/schema-error.ts'
import { orderAsManifest } from './spread-document.ts'

/**
 * Makes a document of the files of a folder.
 *
 * @param files contents by the files' names
 * @throws DocumentError when a file is missing, or the document or a plugin of it would be refused; DynacodeError when the
 *   manifest is not valid JSON
 */
export async function packDocument(files: ReadonlyMap<string, string>): Promise<string> {
  const names = new Map([...files].map(([name, content]) => [posix.normalize(name), content]))
  const text = names.get(MANIFEST)
  if (text === undefined) throw new DocumentError('', `expected a file ${MANIFEST} among the files`)
  const manifest = readManifest(text, MANIFEST)
  const codes = new Map<string, { code: string } | { fault: string }>()
  for (const file of manifest.files) codes.set(file, await readCode(file, names.get(posix.normalize(file))))
  const composed = manifest.compose((file) => codes.get(file) ?? missing(file))?.toString() ?? text
  const [fault, ...others] = listFaults(composed)
  if (fault === undefined) return JSON.stringify(orderAsManifest(JSON.parse(text), JSON.parse(composed)))
  const more = others.length === 0 ? '' : `; and ${others.length} more`
  throw new DocumentError('', `${fault}${more}`)
}

/** What would keep the document, a domain or a plugin from being used. @throws DocumentError when it is refused as a whole */
export function listFaults(text: string): readonly string[] {
  const document = readDocument(text)
  const parts = document.domains.flatMap((domain): readonly object[] => ('error' in domain ? [domain] : domain.plugins))
  const errors = [
    ...document.faults,
    ...parts.flatMap((part) => ('error' in part ? [part.error as DocumentError] : [])),
  ]
  return [...new Set(errors.map(({ message }) => message))]
}

async function readCode(file: string, code: string | undefined): Promise<{ code: string } | { fault: string }> {
  if (code === undefined) return missing(file)
  if (!isTypeScript(file)) return { code }
  try {
    return { code: await stripTypes(code) }
  } catch (error) {
    const { line, column, message } = error as ParseFault
    const place = [file, line, column].filter((part) => part !== undefined).join(':')
    return { fault: `${place}: ${message}` }
  }
}

function missing(file: string): { fault: string } {
  return { fault: `there is no file ${describeValue(file)}` }
}
