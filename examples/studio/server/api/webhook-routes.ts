import { z } from 'zod'
import { DELIVERY, HOOK_EVENTS, HOOK_FORMATS, WEBHOOK } from '../../shared/webhooks.ts'
import type { OutsideRules } from '../outside/exchange.ts'
import type { Database } from '../store/database.ts'
import type { Deliverer } from '../webhooks/deliver.ts'
import {
  addWebhook,
  changeWebhook,
  findDelivery,
  listDeliveries,
  listWebhooks,
  queueTest,
  removeWebhook,
  renewSecret,
} from '../webhooks/webhooks.ts'
import { type Route, route } from './route.ts'
import { ID, outsideUrl } from './schemas.ts'

const PLACE = z.object({ id: ID })
const SECRET = z.object({ secret: z.string() })

/** Where news go: for publishers, as everything that reaches out of the studio. */
export function webhookRoutes({ db }: Database, deliverer: Deliverer, rules: OutsideRules): readonly Route[] {
  const GIVEN = z.object({
    name: z.string().trim().min(1, 'expected a name').max(60),
    url: outsideUrl(rules),
    format: z.enum(HOOK_FORMATS),
    events: z
      .array(z.enum(HOOK_EVENTS))
      .min(1, 'expected at least one event')
      .transform((events) => [...new Set(events)]),
  })
  return [
    route({
      method: 'get',
      path: '/webhooks',
      summary: 'Webhooks, without their addresses and secrets',
      role: 'publisher',
      answer: z.array(WEBHOOK),
      handle: () => listWebhooks(db),
    }),
    route({
      method: 'post',
      path: '/webhooks',
      summary: 'Add a webhook; the secret by which its messages are signed is shown once',
      role: 'publisher',
      body: GIVEN,
      answer: WEBHOOK.extend(SECRET.shape),
      status: 201,
      handle: ({ actor, body }) => addWebhook(db, actor, body),
    }),
    route({
      method: 'patch',
      path: '/webhooks/:id',
      summary: 'Change a webhook, pause it, or let it go on; pausing drops what waits',
      role: 'publisher',
      params: PLACE,
      body: GIVEN.partial().extend({ active: z.boolean().optional() }),
      handle: ({ actor, params, body }) => changeWebhook(db, actor, params.id, body as object),
    }),
    route({
      method: 'post',
      path: '/webhooks/:id/secret',
      summary: 'Make a new secret, which is shown once; the one before no longer signs anything',
      role: 'publisher',
      params: PLACE,
      answer: SECRET,
      status: 201,
      handle: async ({ actor, params }) => ({ secret: await renewSecret(db, actor, params.id) }),
    }),
    route({
      method: 'post',
      path: '/webhooks/:id/test',
      summary: 'Send a test message now, paused or not; the answer says what became of it',
      role: 'publisher',
      params: PLACE,
      answer: DELIVERY,
      async handle({ actor, params }) {
        const id = await queueTest(db, actor, params.id)
        await deliverer.deliverNow(id)
        return findDelivery(db, id)
      },
    }),
    route({
      method: 'get',
      path: '/webhooks/:id/deliveries',
      summary: 'The last 50 deliveries of a webhook, the newest first, and what waits',
      role: 'publisher',
      params: PLACE,
      answer: z.array(DELIVERY),
      handle: ({ params }) => listDeliveries(db, params.id),
    }),
    route({
      method: 'delete',
      path: '/webhooks/:id',
      summary: 'Remove a webhook, and what waits for it',
      role: 'publisher',
      params: PLACE,
      handle: ({ actor, params }) => removeWebhook(db, actor, params.id),
    }),
  ]
}
