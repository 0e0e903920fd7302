import { z } from 'zod'
import { Problem } from '../problem.ts'
import type { Press } from '../publishing/publish.ts'
import { putTogether } from '../review/document-parts.ts'
import type { Reviewer } from '../review/reviewer.ts'
import { type DraftImport, importDraft, readImport, writeImport } from '../store/import.ts'
import { type Route, route } from './route.ts'
import { DIFFERENCE, FINDING, GIVEN_NUMBER, NUMBER } from './schemas.ts'

const DOCUMENT = z.looseObject({
  general: z.record(z.string(), z.unknown()).nullish(),
  domains: z.array(z.looseObject({ name: z.string().min(1).max(1024), plugins: z.array(z.unknown()).nullish() })),
  plugins: z.array(z.unknown()).nullish(),
})
const GIVEN = z
  .object({
    document: DOCUMENT.optional(),
    /** Contents by the files' names. */
    files: z.record(z.string(), z.string()).optional(),
    /** A `tar.gz`, in Base64. */
    archive: z.base64().optional(),
    /** The draft's revision, as the preview says it. */
    draft: GIVEN_NUMBER.optional(),
  })
  .refine(
    ({ document, files, archive }) => [document, files, archive].filter((given) => given !== undefined).length === 1,
    {
      path: ['document'],
      message: 'expected either a document, files, or an archive',
    },
  )

/** Bringing documents and folders in, and taking them out. */
export function importRoutes({ db, documents, reviewer }: Press): readonly Route[] {
  const textOf = async (version: number | undefined) =>
    version === undefined ? putTogether(await documents.draft(), {}) : documents.textOf(version)
  const VERSION = z.object({ version: NUMBER.optional() })

  return [
    route({
      method: 'post',
      path: '/import/preview',
      summary: 'What an import would change of the draft, and what the checks find in it; of each no more than 200',
      role: 'author',
      body: GIVEN,
      answer: z.object({
        draft: z.int(),
        domains: z.int(),
        plugins: z.int(),
        differences: z.array(DIFFERENCE),
        differences_total: z.int(),
        findings: z.array(FINDING),
        findings_total: z.int(),
        errors: z.int(),
      }),
      async handle({ body }) {
        const given = await readGiven(body, reviewer)
        const draft = await documents.draft()
        const found = await reviewer.review('import', putTogether(draft, {}), writeImport(given))
        return {
          draft: draft.revision,
          domains: given.domains.length,
          plugins: given.domains.reduce((sum, { plugins }) => sum + plugins.length, 0),
          differences: found.differences.items,
          differences_total: found.differences.total,
          findings: found.findings.items,
          findings_total: found.findings.total,
          errors: found.errors,
        }
      },
    }),
    route({
      method: 'post',
      path: '/import',
      summary:
        'Put a document, or that of a folder, in place of the draft; 409 when that is not the one of the preview',
      role: 'author',
      body: GIVEN,
      handle: async ({ actor, body }) => importDraft(db, actor, await readGiven(body, reviewer), body.draft),
    }),
    route({
      method: 'get',
      path: '/export',
      summary: 'The draft, or a version, as a document',
      role: 'viewer',
      query: VERSION,
      answer: z.unknown(),
      async handle({ ctx, query }) {
        ctx.body = await textOf(query.version)
        ctx.type = 'application/json'
      },
    }),
    route({
      method: 'get',
      path: '/export/folder',
      summary: 'The draft, or a version, as a tar.gz of a folder that dynacode reads',
      role: 'viewer',
      query: VERSION,
      async handle({ ctx, query }) {
        ctx.body = Buffer.from(await reviewer.makeArchive(await textOf(query.version)))
        ctx.type = 'application/gzip'
        ctx.attachment('plugins.tar.gz')
      },
    }),
  ]
}

async function readGiven(
  { document, files, archive }: z.output<typeof GIVEN>,
  reviewer: Reviewer,
): Promise<DraftImport> {
  if (document !== undefined) return readImport(document)
  const text = await reviewer.readFolder(
    files === undefined ? { archive: Buffer.from(archive ?? '', 'base64') } : { files },
  )
  const parsed = DOCUMENT.safeParse(JSON.parse(text))
  if (parsed.success) return readImport(parsed.data)
  const [issue] = parsed.error.issues
  throw new Problem(422, `dynacode.json: ${issue?.path.join('.')}: ${issue?.message}`)
}
