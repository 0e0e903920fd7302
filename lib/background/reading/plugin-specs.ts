import { type GuardMode, type PluginFields, type PluginSpec, pluginSchema } from '../../document.ts'
import { DocumentError } from '../../errors.ts'
import type { KeyNames } from '../../matching/request-key.ts'
import { createSchedule } from '../../matching/rollout-steps.ts'
import type { Scope } from '../../matching/scope.ts'
import { readStopWhen } from '../../matching/stop-when.ts'
import { describeValue } from '../../validation/schema-error.ts'
import { freezeDeep, MAX_DEPTH } from './freeze.ts'
import { findRolloutFault, scheduleLength } from './rollout-faults.ts'

/** What holds for a plugin where the document says nothing else. */
export interface PluginDefaults {
  readonly guard: GuardMode
  readonly budget_ms: number
  readonly timeout_ms: number
}

/** What a plugin's fields come to: one plugin, or as many as it has variants. */
export function createSpecs(
  fields: PluginFields,
  domain: string,
  path: string,
  defaults: PluginDefaults,
): readonly PluginSpec[] | DocumentError {
  const params = fields.params == null ? NO_PARAMS : freezeDeep(fields.params)
  if (params === undefined) return new DocumentError(`${path}.params`, `expected at most ${MAX_DEPTH} levels, got more`)
  const fault = findRolloutFault(fields, path, fields.timeout_ms ?? defaults.timeout_ms)
  if (fault !== undefined) return fault
  if (fields.unit != null && fields.variants != null) {
    return new DocumentError(`${path}.unit`, 'expected a plugin with code: one with variants cannot be in a unit')
  }
  const codes = readCodes(fields, path)
  if (codes instanceof DocumentError) return codes
  const { stop_when: given } = fields.rollout ?? {}
  const stop_when = given === undefined ? undefined : readStopWhen(given, scheduleLength(fields))
  const shadow_allows = fields.shadow_allows == null ? NOTHING : Object.freeze(fields.shadow_allows)
  return codes.map(({ name, code, share }) => {
    const scope: Scope = Object.freeze({
      enabled: fields.enabled ?? true,
      when: fields.when ?? undefined,
      share,
      stop_when,
      starts_at: toTime(fields.starts_at),
      expires_at: toTime(fields.expires_at),
    })
    // One literal, so that the specs of a large document have one shape between them.
    return Object.freeze({
      domain,
      name,
      id: fields.id ?? undefined,
      phase: fields.phase,
      code,
      params,
      priority: fields.priority ?? 0,
      on_failure: fields.on_failure ?? 'open',
      guard: fields.guard ?? defaults.guard,
      budget_ms: fields.budget_ms ?? defaults.budget_ms,
      timeout_ms: fields.timeout_ms ?? defaults.timeout_ms,
      shadow: fields.mode === 'shadow',
      shadow_allows,
      unit: fields.unit == null || !scope.enabled ? undefined : Object.freeze({ name: fields.unit, size: 1 }),
      scope,
      path,
    } satisfies PluginSpec)
  })
}

// Shared by the many plugins that say nothing.
const NO_PARAMS: PluginSpec['params'] = Object.freeze({})
const NOTHING: PluginSpec['shadow_allows'] = Object.freeze([])

/** The code of a plugin with its share of the traffic, or those of its variants, side by side. */
function readCodes(
  { name, code, variants, rollout, starts_at, unit }: PluginFields,
  path: string,
): readonly { name: string; code: string; share: Scope['share'] }[] | DocumentError {
  const by = freezeKeys(rollout?.by ?? 'ip')
  // The plugins of a unit have the same requests.
  const salt = unit ?? name
  if (variants == null) {
    if (code == null) return new DocumentError(`${path}.code`, `expected a string, got ${describeValue(code)}`)
    if (rollout == null) return [{ name, code, share: undefined }]
    if (rollout.steps !== undefined) {
      const schedule = createSchedule(rollout.steps, toTime(starts_at) ?? 0)
      const to = rollout.steps.at(-1)?.percent ?? 0
      return [{ name, code, share: { by, from: 0, to, salt, schedule } }]
    }
    if (rollout.percent !== undefined) return [{ name, code, share: { by, from: 0, to: rollout.percent, salt } }]
    return new DocumentError(`${path}.rollout.percent`, 'expected a number, got nothing')
  }
  if (code != null) return new DocumentError(`${path}.variants`, 'expected either code or variants, got both')
  if (rollout?.percent !== undefined) {
    return new DocumentError(`${path}.rollout.percent`, 'expected the percentages in the variants alone, got one here')
  }
  // In thousandths, so that three thirds add up.
  const total = variants.reduce((sum, { percent }) => sum + Math.round(percent * 1000), 0)
  if (total > 100_000)
    return new DocumentError(`${path}.variants`, `expected at most 100 percent in all, got ${total / 1000}`)
  let from = 0
  return variants.map((variant) => {
    const share = { by, from, to: from + variant.percent, salt: name }
    from = share.to
    return { name: `${name}/${variant.name}`, code: variant.code, share }
  })
}

const freezeKeys = (by: KeyNames): KeyNames => (typeof by === 'string' ? by : Object.freeze(by))

function toTime(text: string | null | undefined): number | undefined {
  return text == null ? undefined : Date.parse(text)
}

/** A time, if it is one. */
export function tryReadingTime(text: unknown): number | undefined {
  const time = pluginSchema.shape.expires_at.safeParse(text)
  return time.success ? toTime(time.data) : undefined
}
