import { z } from 'zod'
import { createDocument } from 'zod-openapi'
import type { Route } from './route.ts'

const PROBLEM = z.object({
  title: z.string(),
  status: z.int(),
  fields: z.record(z.string(), z.string()).optional(),
  current: z.unknown().optional(),
  findings: z.array(z.unknown()).optional(),
})

/** Describes the API in OpenAPI 3.1, from the very schemas that its requests are checked by. */
export function describeApi(prefix: string, routes: readonly Route[]): object {
  const paths: Record<string, Record<string, object>> = {}
  for (const { method, path, summary, role, params, query, body, answer, status } of routes) {
    const address = prefix + path.replace(/:(\w+)/g, '{$1}')
    const problem = { description: 'What is wrong', content: { 'application/problem+json': { schema: PROBLEM } } }
    paths[address] = {
      ...paths[address],
      [method]: {
        summary,
        description: role === undefined ? 'For everybody.' : `For ${role}s.`,
        security: role === undefined ? [] : [{ token: [] }, { session: [] }],
        requestParams: { ...(params === undefined ? {} : { path: params }), ...(query === undefined ? {} : { query }) },
        ...(body === undefined ? {} : { requestBody: { content: { 'application/json': { schema: body } } } }),
        responses: {
          [status]:
            answer === undefined
              ? { description: 'Done' }
              : { description: 'Done', content: { 'application/json': { schema: answer } } },
          default: problem,
        },
      },
    }
  }
  return createDocument({
    openapi: '3.1.0',
    info: { title: 'dynacode studio', version: '1' },
    components: {
      securitySchemes: {
        token: { type: 'http', scheme: 'bearer' },
        session: { type: 'apiKey', in: 'cookie', name: '__Host-studio' },
      },
    },
    paths,
  })
}
