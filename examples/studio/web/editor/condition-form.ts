/** Something of a name, and what its value has to be. */
export interface ConditionRow {
  readonly name: string
  readonly how: 'is' | 'one_of' | 'regex' | 'present' | 'absent'
  readonly value: string
}

/** The keys of `when` as a form has them: everything is text, so that nothing half-typed is lost. */
export interface ConditionForm {
  readonly methods: string
  readonly paths: string
  /** The same of the path as it was sent. */
  readonly paths_raw: string
  readonly ips: string
  readonly headers: readonly ConditionRow[]
  readonly cookies: readonly ConditionRow[]
  readonly query: readonly ConditionRow[]
  readonly user_agent: readonly ConditionRow[]
}

export const NO_CONDITION: ConditionForm = {
  methods: '',
  paths: '',
  paths_raw: '',
  ips: '',
  headers: [],
  cookies: [],
  query: [],
  user_agent: [],
}

const LISTS = ['methods', 'paths', 'paths_raw', 'ips'] as const
export const NAMED = ['headers', 'cookies', 'query'] as const

/** @returns undefined for what the form has no place for */
export function readCondition(given: unknown): ConditionForm | undefined {
  if (!isObject(given)) return undefined
  const form: Record<string, unknown> = { ...NO_CONDITION }
  for (const [key, value] of Object.entries(given)) {
    if (key === 'not') continue
    if (isOneOf(LISTS, key)) {
      const items = Array.isArray(value) ? value : [value]
      if (!items.every((item) => typeof item === 'string' && !item.includes('\n'))) return undefined
      form[key] = items.join(key === 'methods' ? ', ' : '\n')
    } else if (isOneOf(NAMED, key)) {
      if (!isObject(value)) return undefined
      const rows = Object.entries(value).map(([name, wanted]) => readRow(name, wanted))
      if (rows.includes(undefined)) return undefined
      form[key] = rows
    } else if (key === 'user_agent') {
      const row = readRow('', value)
      if (row === undefined) return undefined
      form[key] = [row]
    } else return undefined
  }
  return form as unknown as ConditionForm
}

function readRow(name: string, wanted: unknown): ConditionRow | undefined {
  if (typeof wanted === 'string') return { name, how: 'is', value: wanted }
  if (Array.isArray(wanted)) {
    if (!wanted.every((item) => typeof item === 'string')) return undefined
    const plain = wanted.join(', ')
    return {
      name,
      how: 'one_of',
      value: wanted.some((item) => /^\s|\s$|,|^\[/.test(item)) ? JSON.stringify(wanted) : plain,
    }
  }
  if (!isObject(wanted) || Object.keys(wanted).length !== 1) return undefined
  if (typeof wanted.regex === 'string') return { name, how: 'regex', value: wanted.regex }
  if (typeof wanted.present === 'boolean') return { name, how: wanted.present ? 'present' : 'absent', value: '' }
  return undefined
}

/** @returns undefined where nothing is asked for */
export function writeCondition(form: ConditionForm): Record<string, unknown> | undefined {
  const when: Record<string, unknown> = {}
  for (const key of LISTS) {
    const items = form[key]
      .split(key === 'methods' ? /[\s,]+/ : /\n/)
      .map((item) => item.trim())
      .filter((item) => item !== '')
    if (items.length > 0) when[key] = items.length === 1 ? items[0] : items
  }
  for (const key of NAMED) {
    const rows = form[key].filter(({ name }) => name.trim() !== '')
    if (rows.length > 0) when[key] = Object.fromEntries(rows.map((row) => [row.name.trim(), writeValue(row)]))
  }
  const [agent] = form.user_agent
  if (agent !== undefined) when.user_agent = writeValue(agent)
  return Object.keys(when).length === 0 ? undefined : when
}

function writeValue({ how, value }: ConditionRow): unknown {
  if (how === 'is') return value
  if (how === 'regex') return { regex: value }
  if (how !== 'one_of') return { present: how === 'present' }
  try {
    const items: unknown = JSON.parse(value)
    if (Array.isArray(items)) return items
  } catch {
    // It is a list with commas, as most are.
  }
  return value.split(',').map((item) => item.trim())
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isOneOf<T extends string>(list: readonly T[], key: string): key is T {
  return (list as readonly string[]).includes(key)
}
