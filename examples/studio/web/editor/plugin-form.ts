import type { Fields, Plugin } from '../../shared/changes.ts'
import { type ConditionForm, isObject, NO_CONDITION, readCondition, writeCondition } from './condition-form.ts'
import { isVariants, readVariants, type VariantForm, writeVariants } from './variant-form.ts'

export const PHASES = ['rewrite', 'access', 'content', 'balancer', 'header_filter', 'body_filter', 'log'] as const

/** A plugin as the form has it: what is typed is text, until it is saved. */
export interface PluginForm {
  readonly name: string
  readonly phase: string
  /** Empty where there are variants. */
  readonly code: string
  readonly variants: readonly VariantForm[]
  readonly enabled: boolean
  readonly mode: 'live' | 'shadow'
  readonly shadow_allows: readonly string[]
  readonly on_failure: 'open' | 'closed'
  readonly priority: string
  readonly percent: string
  readonly by: 'ip' | 'random' | 'header' | 'cookie' | 'query'
  readonly by_name: string
  readonly starts_at: string
  readonly expires_at: string
  readonly params: string
  readonly when: ConditionForm
  readonly not: ConditionForm
  readonly guard: '' | 'on' | 'strict' | 'off'
  readonly budget_ms: string
  readonly timeout_ms: string
  /** Who answers for it, and where it says what to do when it fails: `x-owner` and `x-runbook`. */
  readonly owner: string
  readonly runbook: string
  /** Fields that the form has no place for, as JSON. */
  readonly other: string
}

/** What is saved, or sent to be checked. */
export interface PluginDraft {
  readonly name: string
  readonly phase: string
  readonly fields: Fields
}

export const NEW_PLUGIN: PluginForm = {
  name: '',
  phase: 'access',
  code: '',
  variants: [],
  enabled: true,
  mode: 'live',
  shadow_allows: [],
  on_failure: 'open',
  priority: '',
  percent: '',
  by: 'ip',
  by_name: '',
  starts_at: '',
  expires_at: '',
  params: '',
  when: NO_CONDITION,
  not: NO_CONDITION,
  guard: '',
  budget_ms: '',
  timeout_ms: '',
  owner: '',
  runbook: '',
  other: '',
}

const isNumber = (value: unknown) => typeof value === 'number'
const isOneOf =
  (...values: readonly unknown[]) =>
  (value: unknown) =>
    values.includes(value)
const isTime = (value: unknown) => typeof value === 'string' && !Number.isNaN(Date.parse(value))

/** Which values each field of the form has a place for. */
const PLACES: Readonly<Record<string, (value: unknown) => boolean>> = {
  code: (value) => typeof value === 'string',
  variants: isVariants,
  enabled: (value) => typeof value === 'boolean',
  mode: isOneOf('live', 'shadow'),
  shadow_allows: (value) => Array.isArray(value) && value.every(isOneOf('fetch', 'store')),
  on_failure: isOneOf('open', 'closed'),
  priority: isNumber,
  rollout: (value) =>
    isObject(value) &&
    Object.keys(value).every(isOneOf('percent', 'by')) &&
    (value.percent === undefined || isNumber(value.percent)) &&
    (value.by === undefined ||
      (typeof value.by === 'string' && /^(ip|random|(header|cookie|query):.+)$/.test(value.by))),
  starts_at: isTime,
  expires_at: isTime,
  params: isObject,
  when: (value) => readCondition(value) !== undefined && isReadableNot(value),
  guard: isOneOf('on', 'strict', 'off'),
  budget_ms: isNumber,
  timeout_ms: isNumber,
  'x-owner': (value) => typeof value === 'string',
  'x-runbook': (value) => typeof value === 'string',
}

function isReadableNot(when: unknown): boolean {
  const { not } = when as { not?: unknown }
  return not === undefined || (isObject(not) && !('not' in not) && readCondition(not) !== undefined)
}

/** Puts a plugin into the form. */
export function readPlugin({ name, phase, fields }: Pick<Plugin, 'name' | 'phase' | 'fields'>): PluginForm {
  const known: Record<string, unknown> = {}
  const other: Record<string, unknown> = {}
  for (const [key, value] of Object.entries(fields)) {
    if (value === null) continue
    if (PLACES[key]?.(value)) known[key === 'x-owner' || key === 'x-runbook' ? key.slice(2) : key] = value
    else other[key] = value
  }
  const {
    rollout = {},
    variants,
    when,
    params,
  } = known as {
    rollout?: { percent?: number; by?: string }
    variants?: unknown
    when?: { not?: unknown }
    params?: object
  }
  const [, by = 'ip', , by_name = ''] = /^(\w+)(:(.*))?$/.exec(rollout.by ?? 'ip') ?? []
  const text = (key: string) => (known[key] === undefined ? '' : String(known[key]))
  return {
    ...NEW_PLUGIN,
    ...(known as Partial<PluginForm>),
    name,
    phase,
    priority: text('priority'),
    budget_ms: text('budget_ms'),
    timeout_ms: text('timeout_ms'),
    variants: variants === undefined ? [] : readVariants(variants),
    percent: rollout.percent === undefined ? '' : String(rollout.percent),
    by: by as PluginForm['by'],
    by_name,
    starts_at: toLocal(text('starts_at')),
    expires_at: toLocal(text('expires_at')),
    params: params === undefined ? '' : JSON.stringify(params, null, 2),
    when: (when && readCondition(when)) ?? NO_CONDITION,
    not: (when?.not === undefined ? undefined : readCondition(when.not)) ?? NO_CONDITION,
    other: Object.keys(other).length === 0 ? '' : JSON.stringify(other, null, 2),
    ...('rollout' in known ? { rollout: undefined } : {}),
  } as PluginForm
}

/**
 * Makes a plugin of what the form says.
 *
 * @param saved the fields that the form began with: a time that was not changed stays as it was written
 * @returns `problems` by field, for what is no plugin
 */
export function writePlugin(
  form: PluginForm,
  saved: Fields = {},
): { draft: PluginDraft; problems: Readonly<Record<string, string>> } {
  const problems: Record<string, string> = {}
  const fields: Record<string, unknown> = {}
  const number = (key: 'priority' | 'budget_ms' | 'timeout_ms' | 'percent') => {
    const text = form[key].trim()
    if (text === '') return undefined
    const value = Number(text)
    if (Number.isFinite(value)) return value
    problems[key === 'percent' ? 'rollout.percent' : key] = `expected a number, got “${text}”`
    return undefined
  }
  const object = (key: 'params' | 'other') => {
    if (form[key].trim() === '') return undefined
    try {
      const value: unknown = JSON.parse(form[key])
      if (isObject(value)) return value
      problems[key] = 'expected an object: { … }'
    } catch (error) {
      problems[key] = (error as Error).message
    }
    return undefined
  }
  const put = (key: string, value: unknown) => {
    if (value !== undefined) fields[key] = value
  }

  if (form.name.trim() === '') problems.name = 'expected a name'
  const other = object('other')
  // Several codes stand in place of one.
  const has_variants = form.variants.length > 0 || other?.variants !== undefined
  if (!has_variants || form.code !== '') fields.code = form.code
  if (form.variants.length > 0) fields.variants = writeVariants(form.variants, problems)
  put('enabled', form.enabled ? undefined : false)
  put('mode', form.mode === 'shadow' ? 'shadow' : undefined)
  put('shadow_allows', form.mode === 'shadow' && form.shadow_allows.length > 0 ? form.shadow_allows : undefined)
  put('on_failure', form.on_failure === 'closed' ? 'closed' : undefined)
  put('priority', number('priority'))
  const by = form.by === 'ip' || form.by === 'random' ? form.by : `${form.by}:${form.by_name.trim()}`
  if (by.endsWith(':'))
    problems['rollout.by'] = `expected the name of the ${form.by === 'query' ? 'query parameter' : form.by}`
  // Where there are no variants, which have their own, the format has no `by` without a percentage.
  const percent = number('percent') ?? (by === 'ip' || has_variants ? undefined : 100)
  const rollout = { ...(percent === undefined ? {} : { percent }), ...(by === 'ip' ? {} : { by }) }
  put('rollout', Object.keys(rollout).length === 0 ? undefined : rollout)
  for (const key of ['starts_at', 'expires_at'] as const) {
    if (form[key] === '') continue
    const before = saved[key]
    if (isTime(before) && toLocal(before as string) === form[key]) fields[key] = before
    else if (Number.isNaN(Date.parse(form[key]))) problems[key] = 'expected a date and time'
    else fields[key] = new Date(form[key]).toISOString()
  }
  put('params', object('params'))
  const not = writeCondition(form.not)
  const when = writeCondition(form.when)
  put('when', when === undefined && not === undefined ? undefined : { ...when, ...(not === undefined ? {} : { not }) })
  put('guard', form.guard === '' ? undefined : form.guard)
  put('budget_ms', number('budget_ms'))
  put('timeout_ms', number('timeout_ms'))
  put('x-owner', form.owner.trim() || undefined)
  put('x-runbook', form.runbook.trim() || undefined)
  return { draft: { name: form.name.trim(), phase: form.phase, fields: { ...fields, ...other } }, problems }
}

/** As `<input type="datetime-local">` has it, in the time zone of who looks at it. */
function toLocal(time: string): string {
  if (time === '') return ''
  const date = new Date(time)
  const local = new Date(date.getTime() - date.getTimezoneOffset() * 60_000).toISOString()
  return local.slice(0, date.getSeconds() === 0 ? 16 : 19)
}
