import type { Context } from 'koa'
import { z } from 'zod'
import { PREVIEW } from '../../shared/review.ts'
import type { Press } from '../publishing/press.ts'
import { putTogether } from '../review/document-parts.ts'
import { GIVEN } from '../review/given-import.ts'
import { importDraft } from '../store/import.ts'
import { type Route, route } from './route.ts'
import { NUMBER } from './schemas.ts'

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
      answer: PREVIEW,
      is_raw: true,
      async handle({ ctx }) {
        const draft = await documents.draft()
        const found = await reviewer.previewImport(bytesOf(ctx), putTogether(draft, {}))
        return {
          draft: draft.revision,
          domains: found.domains,
          plugins: found.plugins,
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
      is_raw: true,
      async handle({ ctx, actor }) {
        const { given, draft } = await reviewer.readImport(bytesOf(ctx))
        await importDraft(db, actor, given, draft)
      },
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

/** What is in it is not read here: of many files, that takes long. */
const bytesOf = ({ state }: Context): Uint8Array => state.bytes ?? new Uint8Array()
