import type { Context } from 'koa'
import { z } from 'zod'
import { PREVIEW } from '../../shared/review.ts'
import { importSet } from '../changes/import.ts'
import type { Press } from '../publishing/press.ts'
import { putTogether } from '../review/document-parts.ts'
import { GIVEN } from '../review/given-import.ts'
import { type Route, route } from './route.ts'
import { ID, NUMBER } from './schemas.ts'

/** Bringing documents and folders in, and taking them out. */
export function importRoutes(press: Press): readonly Route[] {
  const { documents, reviewer, workspace } = press
  async function textOf({ version, set }: { version?: number | undefined; set?: number | undefined }): Promise<string> {
    const live = await documents.live()
    if (set !== undefined) return putTogether((await workspace.compose(set, live)).parts, {})
    return version === undefined ? live.document : documents.textOf(version)
  }
  const WHICH = z
    .object({ version: NUMBER.optional(), set: ID.optional() })
    .refine(({ version, set }) => version === undefined || set === undefined, {
      path: ['set'],
      message: 'expected a version or a change set',
    })

  return [
    route({
      method: 'post',
      path: '/import/preview',
      summary: 'What an import would change of what is live, and what the checks find in it; of each no more than 200',
      role: 'author',
      body: GIVEN,
      answer: PREVIEW,
      is_raw: true,
      async handle({ ctx }) {
        const live = await documents.live()
        const found = await reviewer.previewImport(bytesOf(ctx), live.document)
        return {
          base: live.version,
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
        'Make a change set by which what is live becomes this document, or that of this folder; 409 when another version is ' +
        'live than at the preview',
      role: 'author',
      body: GIVEN,
      is_raw: true,
      answer: z.object({ set: z.int() }),
      status: 201,
      handle: ({ ctx, actor }) => importSet(press, actor, bytesOf(ctx)),
    }),
    route({
      method: 'get',
      path: '/export',
      summary: 'What is live, or a version, or with a change set, as a document',
      role: 'viewer',
      query: WHICH,
      answer: z.unknown(),
      async handle({ ctx, query }) {
        ctx.body = await textOf(query)
        ctx.type = 'application/json'
      },
    }),
    route({
      method: 'get',
      path: '/export/folder',
      summary: 'What is live, or a version, or with a change set, as a tar.gz of a folder that dynacode reads',
      role: 'viewer',
      query: WHICH,
      async handle({ ctx, query }) {
        ctx.body = Buffer.from(await reviewer.makeArchive(await textOf(query)))
        ctx.type = 'application/gzip'
        ctx.attachment('plugins.tar.gz')
      },
    }),
  ]
}

/** What is in it is not read here: of many files, that takes long. */
const bytesOf = ({ state }: Context): Uint8Array => state.bytes ?? new Uint8Array()
