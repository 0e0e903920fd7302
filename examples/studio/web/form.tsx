import type { ComponentChildren } from 'preact'
import { useId, useRef, useState } from 'preact/hooks'
import { Problem } from './api.ts'
import { sentence } from './load.tsx'

/** Fields and the button that sends them. What is wrong with them is said at each of them, by the studio and not by the browser. */
export function Form({
  submit,
  children,
  ...more
}: {
  submit(): unknown
  class?: string
  'aria-label'?: string
  children: ComponentChildren
}) {
  return (
    <form
      {...more}
      noValidate
      onSubmit={(event) => {
        event.preventDefault()
        submit()
      }}
    >
      {children}
    </form>
  )
}

/** What stands around something to fill in. */
export function Field({
  label,
  hint,
  problem,
  children,
  wide = false,
}: {
  label: string
  hint?: ComponentChildren
  problem?: string | undefined
  wide?: boolean
  children: (props: { id: string; 'aria-describedby'?: string; 'aria-invalid'?: boolean }) => ComponentChildren
}) {
  const id = useId()
  const has_note = problem !== undefined || hint !== undefined
  return (
    <div class={wide ? 'field wide' : 'field'}>
      <label for={id}>{label}</label>
      {children({
        id,
        ...(has_note ? { 'aria-describedby': `${id}-note` } : {}),
        ...(problem === undefined ? {} : { 'aria-invalid': true }),
      })}
      {has_note && (
        <p id={`${id}-note`} class={problem === undefined ? 'hint' : 'problem'}>
          {problem === undefined ? hint : sentence(problem)}
        </p>
      )}
    </div>
  )
}

export function TextField({
  label,
  hint,
  problem,
  value,
  change,
  wide = false,
  type = 'text',
  ...rest
}: {
  label: string
  hint?: ComponentChildren
  problem?: string | undefined
  wide?: boolean
  value: string
  change(value: string): void
  type?: 'text' | 'password' | 'datetime-local'
  autocomplete?: string
  autofocus?: boolean
  inputMode?: string
  maxLength?: number
  minLength?: number
  placeholder?: string
  required?: boolean
}) {
  return (
    <Field label={label} hint={hint} problem={problem} wide={wide}>
      {(props) => (
        // The types of inputs are one each for every type; here it is a variable.
        <input
          {...(rest as object)}
          {...props}
          type={type as 'text'}
          value={value}
          onInput={({ currentTarget }) => change(currentTarget.value)}
        />
      )}
    </Field>
  )
}

export function AreaField({
  label,
  hint,
  problem,
  value,
  change,
  rows = 2,
  disabled = false,
  wide = true,
}: {
  label: string
  hint?: ComponentChildren
  problem?: string | undefined
  value: string
  rows?: number
  disabled?: boolean
  wide?: boolean
  change(value: string): void
}) {
  return (
    <Field label={label} hint={hint} problem={problem} wide={wide}>
      {(props) => (
        <textarea
          {...props}
          rows={rows}
          spellcheck={false}
          disabled={disabled}
          value={value}
          onInput={({ currentTarget }) => change(currentTarget.value)}
        />
      )}
    </Field>
  )
}

export function SelectField<T extends string>({
  label,
  hint,
  problem,
  value,
  options,
  change,
  disabled = false,
}: {
  label: string
  hint?: ComponentChildren
  problem?: string | undefined
  value: T
  options: readonly (readonly [value: T, text: string])[]
  disabled?: boolean
  change(value: T): void
}) {
  return (
    <Field label={label} hint={hint} problem={problem}>
      {(props) => (
        <select
          {...props}
          disabled={disabled}
          value={value}
          onChange={({ currentTarget }) => change(currentTarget.value as T)}
        >
          {options.map(([each, text]) => (
            <option key={each} value={each}>
              {text}
            </option>
          ))}
        </select>
      )}
    </Field>
  )
}

/** Runs something that somebody asked for: one at a time, with what was wrong about it. */
export function useAction(): {
  readonly busy: boolean
  readonly problem: Problem | undefined
  run(action: () => Promise<unknown>): Promise<boolean>
  clear(): void
} {
  const [busy, setBusy] = useState(false)
  const [problem, setProblem] = useState<Problem>()
  const running = useRef(false)
  return {
    busy,
    problem,
    async run(action) {
      if (running.current) return false
      running.current = true
      setBusy(true)
      setProblem(undefined)
      try {
        await action()
        return true
      } catch (error) {
        setProblem(error instanceof Problem ? error : new Problem(0, { title: (error as Error).message }))
        return false
      } finally {
        running.current = false
        setBusy(false)
      }
    },
    clear: () => setProblem(undefined),
  }
}

/** Asks for text to look for, wherever that is done as it is typed. */
export function SearchField({
  label,
  placeholder = label,
  value,
  change,
}: {
  label: string
  placeholder?: string
  value: string
  change(value: string): void
}) {
  return (
    <input
      type="search"
      aria-label={label}
      placeholder={placeholder}
      value={value}
      onInput={({ currentTarget }) => change(currentTarget.value)}
    />
  )
}
