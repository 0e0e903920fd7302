import { z } from 'zod'
import { RAN } from '../../shared/trial.ts'
import type { Press } from '../publishing/press.ts'
import { putTogether } from '../review/document-parts.ts'
import type { Trials } from '../trying/try-request.ts'
import type { EventStreams } from './event-stream.ts'
import { goneSignal } from './gone-signal.ts'
import { type Route, route } from './route.ts'
import { GIVEN_ID, GIVEN_NUMBER } from './schemas.ts'

const DOCUMENT = z.looseObject({ domains: z.array(z.unknown()) })
const REQUEST = z.object({
  method: z.string().default('GET'),
  url: z.string().max(8000),
  headers: z.record(z.string(), z.union([z.string(), z.array(z.string())])).optional(),
  body: z.string().optional(),
  ip: z.string().optional(),
})
const FETCH_ANSWER = z.strictObject({
  url: z.url({ protocol: /^https?$/, error: 'expected an http: or https: URL' }),
  method: z
    .string()
    .regex(/^[A-Z]+$/, 'expected a method such as GET')
    .optional(),
  status: z.int().min(200).max(599).optional(),
  headers: z.record(z.string().regex(/^[\w!#$%&'*+.^`|~-]+$/), z.string().regex(/^[^\r\n\0]*$/)).optional(),
  body: z.string().optional(),
})

/** Trying out, and hearing of what happens. */
export function workRoutes({ documents, workspace }: Press, trials: Trials, streams: EventStreams): readonly Route[] {
  return [
    route({
      method: 'post',
      path: '/try',
      summary:
        'Send a request through what is live, with or without a change set, or a document that was not saved. Nothing goes out: what plugins fetch ' +
        'is answered from answers',
      role: 'author',
      body: z
        .object({
          source: z.union([z.enum(['set', 'live', 'document']), GIVEN_NUMBER]),
          set: GIVEN_ID.optional(),
          document: DOCUMENT.optional(),
          request: REQUEST,
          now: z.iso.datetime({ offset: true }).optional(),
          answers: z.array(FETCH_ANSWER).max(100).optional(),
        })
        .refine(({ source, document }) => source !== 'document' || document !== undefined, {
          path: ['document'],
          message: 'expected a document',
        })
        .refine(({ source, set }) => source !== 'set' || set !== undefined, {
          path: ['set'],
          message: 'expected the number of a change set',
        }),
      answer: RAN,
      async handle({ ctx, actor, body: { source, set, document, request, now, answers } }) {
        let text = JSON.stringify(document)
        if (source === 'live') text = (await documents.live()).document
        else if (source === 'set')
          text = putTogether((await workspace.compose(set as number, await documents.live())).parts, {})
        else if (source !== 'document') text = await documents.textOf(source)
        const { headers, body, ip, ...rest } = request
        const given = {
          ...rest,
          ...(headers === undefined ? {} : { headers }),
          ...(body === undefined ? {} : { body }),
          ...(ip === undefined ? {} : { ip }),
        }
        return trials.run({ document: text, request: given, now, answers }, actor.account_id, goneSignal(ctx))
      },
    }),
    route({
      method: 'get',
      path: '/events',
      summary:
        'Server-sent events: version, change and report, each when there is a new one. With watch=fleet also fleet: its headline, ' +
        'and the processes that are different',
      role: 'viewer',
      query: z.object({ watch: z.enum(['fleet']).optional() }),
      handle: ({ ctx, query: { watch } }) => streams.open(ctx, watch),
    }),
  ]
}
