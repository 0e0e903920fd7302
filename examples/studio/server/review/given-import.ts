import { z } from 'zod'
import { parseJson, readValue } from '../api/read-value.ts'
import { GIVEN_NUMBER } from '../api/schemas.ts'
import type { PlainDocument } from '../changes/plain-document.ts'
import { Problem } from '../problem.ts'
import { readImport } from '../store/read-import.ts'
import { readFolder } from './folder.ts'

/** Of all of a document; whoever has more of it has something else. */
const MOST_VALUES = 5_000_000
const MOST_FILES = 100_000
const MOST_PLUGINS = 100_000

const DOCUMENT = z.looseObject({
  general: z.record(z.string(), z.unknown()).nullish(),
  domains: z.array(z.looseObject({ name: z.string().min(1).max(1024), plugins: z.array(z.unknown()).nullish() })),
  plugins: z.array(z.unknown()).nullish(),
})
/** What somebody gives to be imported. */
export const GIVEN = z
  .object({
    document: DOCUMENT.optional(),
    /** Contents by the files' names. */
    files: z.record(z.string(), z.string()).optional(),
    /** A `tar.gz`, in Base64. */
    archive: z.base64().optional(),
    /** The version that was live, as the preview says it. */
    base: GIVEN_NUMBER.optional(),
    /** Of the change set that it becomes. */
    name: z.string().trim().min(1).max(100).optional(),
  })
  .refine(
    ({ document, files, archive }) => [document, files, archive].filter((given) => given !== undefined).length === 1,
    {
      path: ['document'],
      message: 'expected either a document, files, or an archive',
    },
  )

/** What was given, the version that it was looked at for, and what it is to be called. */
export interface ReadImport {
  readonly given: PlainDocument
  readonly base: number | undefined
  readonly name: string | undefined
}

/** Reads a request to import something. @throws Problem */
export async function readGiven(bytes: Uint8Array): Promise<ReadImport> {
  const { document, files, archive, base, name } = readValue(GIVEN, parseJson(bytes), 'the request', MOST_VALUES)
  if (document !== undefined) return { given: demandCount(readImport(document)), base, name }
  const count = Object.keys(files ?? {}).length
  if (count > MOST_FILES) throw tooMany('files', MOST_FILES, count)
  const text = await readFolder(files === undefined ? { archive: Buffer.from(archive ?? '', 'base64') } : { files })
  const parsed = DOCUMENT.safeParse(JSON.parse(text))
  if (parsed.success) return { given: demandCount(readImport(parsed.data)), base, name }
  const [issue] = parsed.error.issues
  throw new Problem(422, `dynacode.json: ${issue?.path.join('.')}: ${issue?.message}`)
}

function demandCount(given: PlainDocument): PlainDocument {
  const count = given.domains.reduce((sum, { plugins }) => sum + plugins.length, 0)
  if (count > MOST_PLUGINS) throw tooMany('plugins', MOST_PLUGINS, count)
  if (given.domains.length > MOST_PLUGINS) throw tooMany('domains', MOST_PLUGINS, given.domains.length)
  return given
}

function tooMany(what: string, most: number, count: number): Problem {
  const fault = `expected at most ${most}, got ${count}`
  return new Problem(422, `${what}: ${fault}`, { fields: { [what]: fault } })
}
