import type { PluginKey } from '../../shared/changes.ts'
import { describeStop, type RolloutStop } from '../../shared/rollouts.ts'
import type { Taken } from '../fleet/reports.ts'
import { findOrigins } from '../publishing/live-states.ts'
import type { Press } from '../publishing/press.ts'
import { publish, STUDIO } from '../publishing/publish.ts'
import type { Version } from '../publishing/versions.ts'
import { Overtaken } from './change-share.ts'
import type { ReportedRollout } from './counted.ts'
import type { FindOrigin } from './origins.ts'

/** A variant that a process has stopped by itself. */
export interface StoppedVariant extends PluginKey {
  readonly variant: string
  /** The version that has made its plugin what it is there. */
  readonly origin: number
  readonly stop: RolloutStop
}

/**
 * Finds what a process calls `plugin/variant`, and has stopped. Either name may have a slash in it.
 *
 * @param version of the document that is live in the process
 */
export async function findStoppedVariant(
  findOrigin: FindOrigin,
  { domain, name, phase, stopped, inside, control }: ReportedRollout & PluginKey,
  version: number,
  { report: { host, pid }, by }: Pick<Taken, 'report' | 'by'>,
): Promise<StoppedVariant | undefined> {
  if (stopped === null) return undefined
  const { condition, limit, above_control } = stopped
  const counts = inside && control && { inside, control }
  const stop = { seen_by: 'process', by, host, pid, condition, limit, above_control, counts } as const
  for (let at = name.lastIndexOf('/'); at > 0; at = name.lastIndexOf('/', at - 1)) {
    const plugin = { domain, name: name.slice(0, at), phase }
    const origin = await findOrigin(plugin, version)
    if (origin !== undefined) return { ...plugin, variant: name.slice(at + 1), origin, stop }
  }
  return undefined
}

/**
 * Stops a variant in the whole fleet: a version in which it has no code.
 *
 * @throws Overtaken when somebody has changed the plugin since, or the variant is stopped already
 */
export function stopVariantEverywhere(press: Press, stopped: StoppedVariant): Promise<Version> {
  const { domain, name, phase, variant, origin, stop } = stopped
  const reason = describeStop(stop)
  return publish(press, STUDIO, 'stop', async (live) => {
    const [found] = await findOrigins(press.db, [stopped])
    if (found?.version !== origin) throw new Overtaken(409, 'the plugin was changed since; look at it again')
    const document = await press.reviewer.stopVariant(live.document, { domain, name, phase, variant })
    if (document === undefined) throw new Overtaken(409, 'the plugin has no such variant any more')
    const message = `${name}: variant ${variant} stopped: ${reason}`.slice(0, 500)
    return { message, document, details: { domain, plugin: name, phase, variant, reason, reported_by: stop.by } }
  })
}
