import type { PluginFields } from '../../document.ts'
import { DocumentError } from '../../errors.ts'
import { readDuration } from '../../matching/duration.ts'
import { findKeyFault } from '../../matching/request-key.ts'
import type { Rollout } from '../../matching/rollout.ts'
import { findStepFault, lengthOf } from '../../matching/rollout-steps.ts'
import { STOP_CONDITIONS, type StopWhen } from '../../matching/stop-when.ts'

/** Why a plugin that fails closed cannot have a rollout that stops: clients could have it stopped by having it fail. */
export const NOT_CLOSED =
  'expected a plugin with "on_failure": "open": once the rollout stops, every request passes without the plugin. Fail closed when the rollout is over, and stop_when is gone'

/** How long the steps of a plugin's rollout take, in milliseconds; Infinity without steps. */
export function scheduleLength({ rollout }: PluginFields): number {
  // A single step, or the last one, may last for ever.
  const length_ms = rollout?.steps === undefined ? 0 : lengthOf(rollout.steps)
  return length_ms === 0 ? Number.POSITIVE_INFINITY : length_ms
}

/** What is wrong with a plugin's rollout that its fields by themselves do not show; undefined where nothing is. */
export function findRolloutFault(fields: PluginFields, path: string, timeout_ms: number): DocumentError | undefined {
  const { rollout } = fields
  if (rollout == null) return undefined
  const fault =
    findKeysFault(rollout) ??
    (rollout.steps && findScheduleFault(fields, rollout)) ??
    findGuardFault(fields, rollout, timeout_ms)
  return fault && new DocumentError(`${path}.rollout.${fault.path}`, fault.message)
}

interface Fault {
  /** From the rollout on. */
  readonly path: string
  readonly message: string
}

function findKeysFault({ by = 'ip' }: Rollout): Fault | undefined {
  const fault = findKeyFault(by)
  return fault && { path: `by${fault.path}`, message: fault.message }
}

function findScheduleFault({ variants, starts_at }: PluginFields, { steps = [], percent }: Rollout): Fault | undefined {
  if (variants != null) return { path: 'steps', message: 'expected the percentages in the variants alone, got steps' }
  if (percent !== undefined) return { path: 'steps', message: 'expected either percent or steps, got both' }
  if (starts_at == null) {
    const message = 'expected a starts_at of the plugin, at which the first step begins in every process, got none'
    return { path: 'steps', message }
  }
  const fault = findStepFault(steps)
  return fault && { path: `steps${fault.path}`, message: fault.message }
}

function findGuardFault(fields: PluginFields, rollout: Rollout, timeout_ms: number): Fault | undefined {
  const { stop_when } = rollout
  if (stop_when === undefined) return undefined
  if (fields.on_failure === 'closed' && fields.mode !== 'shadow') return { path: 'stop_when', message: NOT_CLOSED }
  const compared = STOP_CONDITIONS.find((name) => typeof stop_when[name] === 'object')
  if (compared !== undefined) {
    const message = findMissingControl(fields, rollout)
    if (message !== undefined) return { path: `stop_when.${compared}.above_control`, message }
  }
  const { p99_ms, window } = stop_when
  if (typeof p99_ms === 'number' && p99_ms >= timeout_ms) {
    const message = `expected less than the plugin's timeout_ms (${timeout_ms}), which no run passes, got ${p99_ms}`
    return { path: 'stop_when.p99_ms', message }
  }
  const length_ms = scheduleLength(fields)
  if (window !== undefined && readDuration(window) > length_ms) {
    const message = `expected at most the ${length_ms / 1000} s that the steps take, got "${window}"`
    return { path: 'stop_when.window', message }
  }
  return fields.phase === 'log' ? findLateCondition(stop_when) : undefined
}

/** Why nobody is left out whom the rollout could be compared with. */
function findMissingControl({ variants }: PluginFields, { percent, steps }: Rollout): string | undefined {
  if (variants != null) return 'expected a bound: variants have no control group'
  if ((steps?.[0]?.percent ?? percent ?? 0) < 100) return undefined
  return 'expected a rollout of less than 100 percent: of 100, no request is left out to compare with'
}

/** A condition that a plugin of the phase `log` can never meet: it runs when the response is over. */
function findLateCondition({ exit_rate, status_5xx_rate, p99_ms }: StopWhen): Fault | undefined {
  const late = 'a plugin of the phase `log` runs after the response'
  if (exit_rate !== undefined) return { path: 'stop_when.exit_rate', message: `cannot be met: ${late}` }
  if (status_5xx_rate !== undefined) return { path: 'stop_when.status_5xx_rate', message: `cannot be met: ${late}` }
  if (typeof p99_ms === 'object') return { path: 'stop_when.p99_ms', message: `cannot be met: ${late}` }
  return undefined
}
