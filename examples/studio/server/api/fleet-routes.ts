import { z } from 'zod'
import {
  CHART,
  type CountedActivity,
  FLEET,
  INSTANCE,
  isGone,
  PLUGIN_ACTIVITY,
  PLUGINS_ACTIVITY,
  SHADOW_RUNS,
} from '../../shared/fleet.ts'
import { REPORT } from '../../shared/report.ts'
import type { Fleet } from '../fleet/fleet.ts'
import { Problem } from '../problem.ts'
import type { Contact, PluginName } from '../review/live-index.ts'
import { type Route, route } from './route.ts'

const POSITION = z.coerce.number<string>('expected a number').int().min(0).max(1_000_000).default(0)
const LIMIT = z.coerce.number<string>().int().min(1).max(200).default(50)
const SEARCH = z.string().max(200).optional()
/** The database takes no NUL. */
const text = (longest: number) =>
  z
    .string()
    .max(longest)
    .refine((value) => !value.includes('\0'), 'expected no NUL')
const GIVEN_PLUGIN = { domain: text(1024), plugin: text(1024), phase: text(40) }

/**
 * Reports of instances, and what is made of them.
 *
 * @param contactsOf who answers for these plugins, in their order
 */
export function fleetRoutes(
  fleet: Fleet,
  contactsOf: (plugins: readonly PluginName[]) => Promise<readonly Contact[]>,
): readonly Route[] {
  const withContacts = async (plugins: readonly CountedActivity[]) => {
    const contacts = await contactsOf(plugins)
    return plugins.map((plugin, at) => ({ ...plugin, ...(contacts[at] as Contact) }))
  }
  const isOf = (search: string | undefined) => {
    const wanted = search?.toLowerCase() ?? ''
    return ({ domain, name, phase, text }: CountedActivity) =>
      `${name} ${domain} ${phase} ${text}`.toLowerCase().includes(wanted)
  }
  return [
    route({
      method: 'post',
      path: '/reports',
      summary: 'Take the report of an instance: for report_uri, with a token in report_headers',
      role: 'reporter',
      body: REPORT,
      handle: ({ actor, body }) => fleet.take(actor, body),
    }),
    route({
      method: 'get',
      path: '/fleet',
      summary:
        'The fleet in one line, and a page of its processes, trouble first: those that report, or those that are silent or closed',
      role: 'viewer',
      query: z.object({ kind: z.enum(['live', 'gone']).default('live'), search: SEARCH, from: POSITION, limit: LIMIT }),
      answer: FLEET,
      handle({ query: { kind, search, from, limit } }) {
        const all = fleet.view.list({ is_gone: kind === 'gone', search })
        const next = from + limit < all.length ? from + limit : null
        return { headline: fleet.view.headline(), processes: all.slice(from, from + limit), next }
      },
    }),
    route({
      method: 'get',
      path: '/fleet/processes/:id',
      summary: 'All that a process reported last',
      role: 'viewer',
      params: z.object({ id: text(200) }),
      answer: INSTANCE,
      handle: ({ params }) => fleet.readReport(params.id),
    }),
    route({
      method: 'post',
      path: '/fleet/dismissed',
      summary:
        'Forget processes that are silent or closed: one of them, or all. A process that reports again comes back',
      role: 'author',
      body: z.object({ id: text(200).optional() }),
      async handle({ actor, body: { id } }) {
        const gone = fleet.view.list({ is_gone: true, search: undefined })
        const wanted = gone.filter((process) => isGone(process) && (id ?? process.id) === process.id)
        if (id !== undefined && wanted.length === 0)
          throw new Problem(409, 'that process reports, or was forgotten already')
        await fleet.dismiss(
          actor,
          wanted.map((process) => process.id),
        )
      },
    }),
    route({
      method: 'get',
      path: '/fleet/plugins',
      summary:
        'What plugins do in all processes together, as rates over the last minutes, with the last error of each: trouble first',
      role: 'viewer',
      query: z.object({ search: SEARCH, from: POSITION, limit: LIMIT }),
      answer: PLUGINS_ACTIVITY,
      async handle({ query: { search, from, limit } }) {
        const { minutes, plugins } = await fleet.activity()
        const found = plugins.filter(isOf(search))
        return {
          minutes,
          bad: plugins.filter(({ condition }) => condition === 'bad').length,
          plugins: await withContacts(found.slice(from, from + limit)),
          next: from + limit < found.length ? from + limit : null,
        }
      },
    }),
    route({
      method: 'get',
      path: '/fleet/plugin',
      summary: 'The same of one plugin',
      role: 'viewer',
      query: z.object(GIVEN_PLUGIN),
      answer: PLUGIN_ACTIVITY,
      async handle({ query: { domain, plugin, phase } }) {
        const { plugins } = await fleet.activity()
        const found = plugins.find((each) => each.domain === domain && each.name === plugin && each.phase === phase)
        if (found === undefined)
          throw new Problem(404, 'no process has reported anything of it within the last minutes')
        const [shown] = await withContacts([found])
        return shown
      },
    }),
    route({
      method: 'get',
      path: '/fleet/chart',
      summary: 'What the fleet, or one plugin, did over the last hour or day, and when versions went live',
      role: 'viewer',
      query: z
        .object({ range: z.enum(['hour', 'day']).default('hour') })
        .extend(z.object(GIVEN_PLUGIN).partial().shape),
      answer: CHART,
      handle({ query: { range, domain, plugin, phase } }) {
        if (domain === undefined || plugin === undefined || phase === undefined) return fleet.chart(range, undefined)
        return fleet.chart(range, { domain, name: plugin, phase })
      },
    }),
    route({
      method: 'get',
      path: '/shadow',
      summary:
        'What plugins in shadow mode would have done, as the instances have counted it, those that ran most first',
      role: 'viewer',
      query: z.object({ domain: z.string().optional(), plugin: z.string().optional() }),
      answer: z.array(SHADOW_RUNS),
      handle: ({ query }) => fleet.shadowRuns(query),
    }),
  ]
}
