import { z } from 'zod'
import { findLatest, NOTHING } from '../publishing/versions.ts'
import type { Database } from '../store/database.ts'
import { type Route, route } from './route.ts'

interface Live {
  readonly version: number
  readonly enabled: boolean
  readonly plugins: number
}

/** What is live, in short: for what every page shows. */
export function liveRoutes({ db }: Database): readonly Route[] {
  let known: Live | undefined
  return [
    route({
      method: 'get',
      path: '/live',
      summary: 'What is live, in short: its version, whether it is switched on, and how many plugins it has',
      role: 'viewer',
      answer: z.object({ version: z.int(), enabled: z.boolean(), plugins: z.int() }),
      async handle() {
        const newest = await db
          .selectFrom('version')
          .select((builder) => builder.fn.max('version').as('version'))
          .executeTakeFirst()
        // A document may be large: it is read once for each version.
        if (known?.version !== (newest?.version ?? 0)) known = describe(await findLatest(db))
        return known
      },
    }),
  ]
}

function describe(latest: { readonly version: number; readonly document: string } | undefined): Live {
  const { general, domains } = JSON.parse(latest?.document ?? NOTHING) as {
    general?: { status?: string }
    domains: readonly { plugins: readonly unknown[] }[]
  }
  return {
    version: latest?.version ?? 0,
    enabled: (general?.status ?? 'enabled') === 'enabled',
    plugins: domains.reduce((sum, { plugins }) => sum + plugins.length, 0),
  }
}
