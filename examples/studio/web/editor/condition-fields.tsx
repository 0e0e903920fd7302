import { useState } from 'preact/hooks'
import { AreaField, TextField } from '../form.tsx'
import type { ConditionForm, ConditionRow } from './condition-form.ts'
import { NAMED } from './condition-form.ts'

const NAMES = { headers: 'Header', cookies: 'Cookie', query: 'Query parameter', user_agent: 'User-Agent' } as const
const HOWS = [
  ['is', 'is'],
  ['one_of', 'is one of'],
  ['regex', 'matches regex'],
  ['present', 'exists'],
  ['absent', 'does not exist'],
] as const

/** The conditions of a plugin. @param problemAt what is wrong with a field, by its path below `when` */
export function ConditionFields({
  value,
  change,
  problemAt,
}: {
  value: ConditionForm
  change(value: ConditionForm): void
  problemAt(path: string): string | undefined
}) {
  const [has_raw, setHasRaw] = useState(value.paths_raw !== '')
  const set = (part: Partial<ConditionForm>) => change({ ...value, ...part })
  return (
    <>
      <div class="grid">
        <TextField
          label="Methods"
          placeholder="GET, POST"
          value={value.methods}
          change={(methods) => set({ methods })}
          problem={problemAt('methods')}
        />
        <AreaField
          label="Paths"
          hint="One per line, such as /users/:id or /static/*file"
          wide={false}
          value={value.paths}
          change={(paths) => set({ paths })}
          problem={problemAt('paths')}
        />
        {has_raw && (
          <AreaField
            label="Raw paths"
            hint="Matched against the path exactly as the client sent it. Do not use it to protect something: the same path can be spelled in many ways"
            wide={false}
            value={value.paths_raw}
            change={(paths_raw) => set({ paths_raw })}
            problem={problemAt('paths_raw')}
          />
        )}
        <AreaField
          label="IP addresses"
          hint="One per line, such as 10.0.0.0/8"
          wide={false}
          value={value.ips}
          change={(ips) => set({ ips })}
          problem={problemAt('ips')}
        />
      </div>
      {([...NAMED, 'user_agent'] as const).map((key) => (
        <Rows
          key={key}
          of={key}
          rows={value[key]}
          change={(rows) => set({ [key]: rows })}
          problem={value[key].length > 0 ? problemAt(key) : undefined}
        />
      ))}
      <div class="adders">
        {!has_raw && (
          <button type="button" onClick={() => setHasRaw(true)}>
            + Raw path
          </button>
        )}
        {([...NAMED, 'user_agent'] as const)
          .filter((key) => key !== 'user_agent' || value.user_agent.length === 0)
          .map((key) => (
            <button
              key={key}
              type="button"
              onClick={() => set({ [key]: [...value[key], { name: '', how: 'is', value: '' } satisfies ConditionRow] })}
            >
              + {NAMES[key]}
            </button>
          ))}
      </div>
    </>
  )
}

function Rows({
  of,
  rows,
  change,
  problem,
}: {
  of: keyof typeof NAMES
  rows: readonly ConditionRow[]
  change(rows: readonly ConditionRow[]): void
  problem: string | undefined
}) {
  const kind = NAMES[of]
  return (
    <>
      {rows.map((row, index) => {
        const set = (part: Partial<ConditionRow>) => change(rows.with(index, { ...row, ...part }))
        const is_valued = row.how !== 'present' && row.how !== 'absent'
        return (
          <div class="row" key={index}>
            <span class="kind">{kind}</span>
            {of !== 'user_agent' && (
              <input
                aria-label={`${kind} name`}
                placeholder="name"
                value={row.name}
                onInput={({ currentTarget }) => set({ name: currentTarget.value })}
              />
            )}
            <select
              aria-label={`${kind} comparison`}
              value={row.how}
              onChange={({ currentTarget }) => set({ how: currentTarget.value as ConditionRow['how'] })}
            >
              {HOWS.map(([how, text]) => (
                <option key={how} value={how}>
                  {text}
                </option>
              ))}
            </select>
            {is_valued && (
              <input
                aria-label={`${kind} value`}
                placeholder={row.how === 'one_of' ? 'a, b, c' : row.how === 'regex' ? 'regular expression' : 'value'}
                value={row.value}
                onInput={({ currentTarget }) => set({ value: currentTarget.value })}
              />
            )}
            <button
              type="button"
              class="quiet"
              aria-label={`Remove this ${kind.toLowerCase()}`}
              onClick={() => change(rows.toSpliced(index, 1))}
            >
              ✕
            </button>
          </div>
        )
      })}
      {problem !== undefined && <p class="problem">{problem}</p>}
    </>
  )
}
