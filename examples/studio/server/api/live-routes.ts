import { z } from 'zod'
import { LIVE, LIVE_DOMAIN, LIVE_PLUGIN } from '../../shared/live.ts'
import { countPublishers } from '../auth/accounts.ts'
import { countWaiting } from '../changes/sets.ts'
import { askLive } from '../publishing/ask-live.ts'
import type { Press } from '../publishing/press.ts'
import type { LiveQuestion } from '../review/live-index.ts'
import { type Route, route } from './route.ts'
import { PAGE } from './schemas.ts'

/** What is live, in short: for what every page shows, and for who looks for what to switch off. */
export function liveRoutes({ db, documents, reviewer, rules }: Press): readonly Route[] {
  const ask = async <Q extends LiveQuestion>(question: Q) => askLive(reviewer, await documents.live(), question)
  return [
    route({
      method: 'get',
      path: '/live',
      summary:
        'What is live, in short: its version, whether it is switched on, how many plugins it has, and whether a new version ' +
        'takes two persons, how many can agree, and how many change sets are proposed',
      role: 'viewer',
      answer: LIVE,
      handle: async () => ({
        ...(await ask({ about: 'summary' })),
        two_persons: rules.two_persons,
        publishers: await countPublishers(db),
        waiting: await countWaiting(db),
      }),
    }),
    route({
      method: 'get',
      path: '/live/domains',
      summary: 'Domains that are live, by what is in their names; enabled: how many of their plugins are switched on',
      role: 'viewer',
      query: PAGE,
      answer: z.array(LIVE_DOMAIN),
      handle: ({ query }) => ask({ about: 'domains', page: query }),
    }),
    route({
      method: 'get',
      path: '/live/plugins',
      summary: 'Plugins that are live, by what is in their names or of one domain, with what they are switched to',
      role: 'viewer',
      query: PAGE.extend({ domain: z.string().max(1024).optional() }),
      answer: z.array(LIVE_PLUGIN),
      handle: ({ query }) => ask({ about: 'plugins', page: query }),
    }),
  ]
}
